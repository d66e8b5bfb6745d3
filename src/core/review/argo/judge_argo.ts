// The order in which an Application is judged, and what annotations of a Module ask of Argo CD.
import { optionsOf, SYNC_OPTIONS_ANNOTATION } from './application.ts'
import type { ArgoCase, ArgoRule, ArgoSaid } from './argo_context.ts'
import { hydrates } from './changed_rules.ts'
import { allowsNothing, prunes, takesAlong } from './deleting_rules.ts'
import { changesObjects, makesElsewhere, writtenByTemplate } from './source_rules.ts'
import { marksNamespace } from './namespace_rules.ts'
import { comparesAtServer, leavesDrift, otherOptions, retries } from './syncing_rules.ts'
import {
  appliedAtServer,
  appliesAtServer,
  forced,
  forces,
  hidesDifference,
  publishesNothing,
  replaced,
  replaces,
  writesOver,
} from './writing_rules.ts'

/** What loses versions first, then what is written over, then how a denial looks. */
const RULES: readonly ArgoRule[] = [
  prunes,
  allowsNothing,
  takesAlong,
  forces,
  replaces,
  writesOver,
  hidesDifference,
  publishesNothing,
  appliesAtServer,
  comparesAtServer,
  retries,
  leavesDrift,
  otherOptions,
  marksNamespace,
  makesElsewhere,
  changesObjects,
  hydrates,
  writtenByTemplate,
]

export function judgeApplication(subject: ArgoCase): readonly ArgoSaid[] {
  return RULES.flatMap((rule) => rule(subject))
}

const HOOKS = ['argocd.argoproj.io/hook', 'helm.sh/hook'] as const

/** A Module's own annotations, whichever Application applies it. */
export function judgeModuleAnnotations(
  annotations: ReadonlyMap<string, string>,
  listType: ArgoCase['listType'],
): readonly ArgoSaid[] {
  const options = optionsOf(annotations, SYNC_OPTIONS_ANNOTATION, '')
  const isOn = (name: string): string | undefined =>
    options.find((option) => option.name === name && option.value === 'true')?.path
  const force = isOn('Force')
  const replace = isOn('Replace')
  const server = isOn('ServerSideApply')
  return [
    ...HOOKS.filter((hook) => !['', 'Skip'].includes(annotations.get(hook) ?? '')).map(hooked),
    ...(force === undefined ? [] : [forced(force)]),
    ...(replace === undefined ? [] : [replaced(replace)]),
    ...(server === undefined ? [] : [appliedAtServer(server, listType)]),
  ]
}

function hooked(annotation: string): ArgoSaid {
  return {
    rule: 'ARGO-18',
    severity: 'deny',
    path: `metadata.annotations[${JSON.stringify(annotation)}]`,
    message:
      'a Module that is a hook is deleted and made anew with each sync, and with it every archive and checksum',
    wayOut: 'take the annotation out',
  }
}

/** Argo CD leaves such a Module where it is when its file goes. */
export function isKeptBy(annotations: ReadonlyMap<string, string>): boolean {
  return optionsOf(annotations, SYNC_OPTIONS_ANNOTATION, '').some(
    ({ name, value }) => name === 'Prune' && value === 'false',
  )
}
