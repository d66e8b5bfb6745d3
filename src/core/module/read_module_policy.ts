// ModulePolicy (sallyport.dev/v1alpha1) from its object, deploy/crds/sallyport/modulepolicies.yaml. Read again as strictly where
// no API server has looked at it: the offline review takes it from a file.
import { secondsOfTime } from '#core/date_time.ts'
import type {
  Identities,
  IdentityList,
  ModulePolicySpec,
  PolicyException,
  Publisher,
} from './module_policy.ts'
import { deny, reading } from './reading.ts'
import type { FieldReader, Reading } from './reading.ts'
import { RULE_IDS } from './rule_id.ts'
import type { RuleId } from './rule_id.ts'
import type { Mode } from './verdict.ts'

export type ModulePolicy = { readonly name: string; readonly spec: ModulePolicySpec }

/** The denial names the first field that cannot be meant. */
export function readModulePolicy(value: unknown): Reading<ModulePolicy> {
  const problems: string[] = []
  const policy = reading(value, (root) => {
    if (root.text('apiVersion') !== 'sallyport.dev/v1alpha1' || root.text('kind') !== 'ModulePolicy') {
      problems.push('the object is no ModulePolicy of sallyport.dev/v1alpha1')
    }
    return {
      name: root.mapping('metadata').text('name'),
      spec: readSpec(new PolicyFields(root.mapping('spec'), 'spec', problems)),
    }
  })
  const [problem] = problems
  return policy.ok && problem !== undefined ? deny(problem) : policy
}

function readSpec(spec: PolicyFields): ModulePolicySpec {
  if (!spec.has('selector')) spec.wrong('selector', 'there: {} covers every Module')
  const selector = spec.inner('selector')
  return {
    selector: { namespaces: selector.texts('namespaces'), labels: selector.textMap('matchLabels') },
    immutability: spec.choice('immutability', ['optional', 'required']),
    publishers: spec.list('publishers').map(readPublisher),
    identities: readIdentities(spec.inner('identities')),
    ordering: spec.choice('ordering', ['free', 'backport', 'monotonic']),
    pins: spec.choice('pins', ['optional', 'required']),
    exceptions: spec.list('exceptions').map(readException),
    modes: readModes(spec),
  }
}

function readPublisher(publisher: PolicyFields): Publisher {
  const source = publisher.text('source')
  const rest = { ids: publisher.texts('ids'), refs: publisher.texts('refs') }
  return source === '' ? rest : { source, ...rest }
}

function readIdentities(identities: PolicyFields): Identities {
  return {
    controller: readIdentityList(identities.inner('controller')),
    gitops: readIdentityList(identities.inner('gitops')),
    importer: readIdentityList(identities.inner('importer')),
    human: readIdentityList(identities.inner('human')),
  }
}

function readIdentityList(list: PolicyFields): IdentityList {
  return { users: list.texts('users'), groups: list.texts('groups') }
}

function readException(exception: PolicyFields): PolicyException {
  for (const field of ['rules', 'modules', 'approver', 'reason']) {
    if (!exception.has(field)) exception.wrong(field, 'there')
  }
  const untilSeconds = secondsOfTime(exception.text('until'))
  if (untilSeconds === undefined) exception.wrong('until', 'a time like 2027-01-31T00:00:00Z')
  const rules = exception.texts('rules')
  if (!rules.every(isRuleId)) exception.wrong('rules', 'a list of rules that there are')
  return {
    rules: rules.filter(isRuleId),
    modules: exception.texts('modules'),
    versions: exception.texts('versions'),
    untilSeconds: untilSeconds ?? 0,
    approver: exception.text('approver'),
    reason: exception.text('reason'),
  }
}

const MODES: readonly [Mode, ...Mode[]] = ['enforce', 'warn', 'audit']

/** `defaultMode` for every rule that `modes` does not name. Enforcing is what they do of themselves. */
function readModes(spec: PolicyFields): ModulePolicySpec['modes'] {
  const fallback = spec.choice('defaultMode', MODES)
  const modes = spec.inner('modes')
  const named = new Map<RuleId, Mode>()
  for (const key of modes.keys()) {
    if (isRuleId(key)) named.set(key, modes.choice(key, MODES))
    else spec.wrong('modes', 'a mapping of rules that there are')
  }
  if (fallback === 'enforce') return Object.fromEntries(named)
  return Object.fromEntries(RULE_IDS.map((rule) => [rule, named.get(rule) ?? fallback]))
}

function isRuleId(text: string): text is RuleId {
  return RULE_IDS.some((rule) => rule === text)
}

/** One mapping of a policy, with what only policies have: lists of texts, and choices. */
class PolicyFields {
  readonly #fields: FieldReader
  readonly #path: string
  readonly #problems: string[]

  constructor(fields: FieldReader, path: string, problems: string[]) {
    this.#fields = fields
    this.#path = path
    this.#problems = problems
  }

  wrong(key: string, wanted: string): void {
    this.#problems.push(`${this.#path}.${key} is not ${wanted}`)
  }

  has(key: string): boolean {
    return this.#fields.has(key)
  }

  keys(): readonly string[] {
    return this.#fields.keys()
  }

  text(key: string): string {
    return this.#fields.text(key)
  }

  textMap(key: string): ReadonlyMap<string, string> {
    return this.#fields.texts(key)
  }

  inner(key: string): PolicyFields {
    return new PolicyFields(this.#fields.mapping(key), `${this.#path}.${key}`, this.#problems)
  }

  list(key: string): readonly PolicyFields[] {
    const items = this.#fields.mappings(key)
    return items.map(
      (item, index) => new PolicyFields(item, `${this.#path}.${key}[${index}]`, this.#problems),
    )
  }

  /** Empty when absent; one that is there and empty is refused, since it reads as "nobody" and means "anybody". */
  texts(key: string): readonly string[] {
    const value = this.#fields.raw(key)
    if (value === undefined) return []
    if (Array.isArray(value) && value.length > 0 && value.every((text) => typeof text === 'string'))
      return value
    this.wrong(key, 'a list of texts with something in it')
    return []
  }

  /** The first when absent. */
  choice<const Choice extends string>(key: string, choices: readonly [Choice, ...Choice[]]): Choice {
    if (!this.has(key)) return choices[0]
    const text = this.text(key)
    const chosen = choices.find((choice) => choice === text)
    if (chosen === undefined) this.wrong(key, choices.join(' or '))
    return chosen ?? choices[0]
  }
}
