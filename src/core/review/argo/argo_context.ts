// What a rule about an Application is given, and what it says.
import type { PublishedFacts } from '#core/module/ledger.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import type { ModuleObject } from '#core/module/module_object.ts'
import { identitiesOf } from '#core/module/ledger.ts'
import type { Said } from '#core/review/review_finding.ts'
import type { ArgoApplication } from './application.ts'
import type { ArgoRuleId } from './argo_rule.ts'

export type AppliedModule = {
  readonly module: ModuleObject
  /** Of the ledger, by plain version. */
  readonly published: ReadonlyMap<string, PublishedFacts>
  /** The files publish a version with this change. */
  readonly addsVersions: boolean
  readonly policies: readonly NamedPolicy[]
}

export type ArgoCase = {
  readonly application: ArgoApplication
  /** What it applies, as far as it is among the reviewed files. */
  readonly modules: readonly AppliedModule[]
  /** How the cluster takes `spec.versions`, as far as the definition is among the files. */
  readonly listType: 'map' | 'atomic' | undefined
}

export type ArgoSaid = Said & { readonly rule: ArgoRuleId }
export type ArgoRule = (subject: ArgoCase) => readonly ArgoSaid[]

/** The option as the Application sets it, whatever its value. */
export function optionOf(
  { syncOptions }: Pick<ArgoApplication, 'syncOptions'>,
  name: string,
): ArgoApplication['syncOptions'][number] | undefined {
  return syncOptions.findLast((option) => option.name === name)
}

export function isOptionOn(application: Pick<ArgoApplication, 'syncOptions'>, name: string): boolean {
  return optionOf(application, name)?.value === 'true'
}

/** In the cluster by the ledger, and not in the list that the files hold. */
export function versionsOfOthers({ module, published }: AppliedModule): readonly string[] {
  const own = identitiesOf(module)
  return [...published].flatMap(([plain, { state }]) =>
    state === 'present' && !own.has(plain) ? [plain] : [],
  )
}
