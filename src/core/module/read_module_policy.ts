// ModulePolicy (sallyport.dev/v1alpha1) from its object, deploy/crds/sallyport/modulepolicies.yaml. Read again as strictly where
// no API server has looked at it: the offline review takes it from a file.
import { secondsOfTime } from '#core/date_time.ts'
import { LISTED } from './actor.ts'
import type {
  Identities,
  IdentityList,
  ListedActorKind,
  ModulePolicySpec,
  ModuleSelector,
  NamedPolicy,
  PolicyException,
  Publisher,
} from './module_policy.ts'
import { PolicyFields } from './policy_fields.ts'
import { quoted } from './printable.ts'
import { deny, reading } from './reading.ts'
import type { Reading } from './reading.ts'
import { FIXED_RULE_IDS, RULE_IDS } from './rule_id.ts'
import type { RuleId } from './rule_id.ts'
import type { Mode } from './verdict.ts'
import { readVersionIdentity } from './version_identity.ts'

/** The denial names the first field that cannot be meant. */
export function readModulePolicy(value: unknown): Reading<NamedPolicy> {
  const problems: string[] = []
  const policy = reading(value, (root) => {
    if (root.text('apiVersion') !== 'sallyport.dev/v1alpha1' || root.text('kind') !== 'ModulePolicy') {
      problems.push('the object is no ModulePolicy of sallyport.dev/v1alpha1')
    }
    new PolicyFields(root, 'the policy', problems).only(['apiVersion', 'kind', 'metadata', 'spec'])
    return {
      name: root.mapping('metadata').text('name'),
      spec: readSpec(new PolicyFields(root.mapping('spec'), 'spec', problems)),
    }
  })
  const [problem] = problems
  return policy.ok && problem !== undefined ? deny(problem) : policy
}

const SPEC_FIELDS = [
  'selector',
  'immutability',
  'publishers',
  'identities',
  'ordering',
  'pins',
  'defaultMode',
  'modes',
  'exceptions',
]

function readSpec(spec: PolicyFields): ModulePolicySpec {
  spec.only(SPEC_FIELDS)
  const selector = readSelector(spec)
  return {
    selector,
    immutability: spec.choice('immutability', ['optional', 'required']),
    publishers: spec.list('publishers', ['source', 'ids', 'refs']).map(readPublisher),
    identities: readIdentities(spec.inner('identities', LISTED)),
    ordering: spec.choice('ordering', ['free', 'backport', 'monotonic']),
    pins: spec.choice('pins', ['optional', 'required']),
    exceptions: spec
      .list('exceptions', ['rules', 'modules', 'versions', 'until', 'approver', 'reason'])
      .map((exception) => readException(exception, selector)),
    modes: readModes(spec),
  }
}

const LABEL = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/

function readSelector(spec: PolicyFields): ModuleSelector {
  if (!spec.has('selector')) spec.wrong('selector', 'there: {} covers every Module')
  const selector = spec.inner('selector', ['namespaces', 'matchLabels'])
  const namespaces = selector.texts('namespaces', {
    pattern: /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/,
    wanted: 'the name of a namespace',
    most: 256,
  })
  const labels = selector.textMap('matchLabels')
  for (const [key, value] of labels) {
    if (!LABEL.test(value) || value.length > 63) selector.wrong(`matchLabels.${key}`, 'the value of a label')
  }
  return { namespaces, labels }
}

/** Host and path in lower case. A pattern would be taken as it stands, and match nobody. */
const SOURCE = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?(\/[^\s/A-Z\\*?[\]{}]+)+$/

function readPublisher(publisher: PolicyFields): Publisher {
  const source = publisher.text('source')
  if (source !== '' && !(SOURCE.test(source) && source.length <= 512)) {
    publisher.wrong('source', 'host and path of one repository, in lower case')
  }
  const ids = publisher.texts('ids', { wanted: '', most: 64 })
  const refs = publisher.texts('refs', {
    pattern: REF,
    wanted: 'a Git reference like refs/tags/v{version}',
    most: 16,
  })
  for (const [index, ref] of refs.entries()) {
    const problem = REF.test(ref) ? openRef(ref) : undefined
    if (problem !== undefined) publisher.wrong(`refs[${index}]`, problem)
  }
  return source === '' ? { ids, refs } : { source, ids, refs }
}

const REF = /^refs\/(heads|tags)\/[^\s~^:?[\\]{1,245}$/

/** What would let one tag publish any version, or any branch do so; or `1.2.0` be published from the tag `11.2.0`. */
function openRef(ref: string): string | undefined {
  if (/\*\{version\}|\{version\}\*/.test(ref))
    return 'clear: no * beside {version}, which would be part of a version'
  if (ref.includes('{version}')) return undefined
  if (ref.startsWith('refs/tags/')) return 'a tag of one version: it names {version}'
  return ref.startsWith('refs/heads/*') ? 'some branches: that is any branch' : undefined
}

function readIdentities(identities: PolicyFields): Identities {
  const read = (kind: ListedActorKind): IdentityList =>
    readIdentityList(identities.inner(kind, ['users', 'groups']))
  const lists = {
    controller: read('controller'),
    gitops: read('gitops'),
    importer: read('importer'),
    human: read('human'),
  }
  for (const part of ['users', 'groups'] as const) {
    const names = LISTED.flatMap((kind) => Array.from(new Set(lists[kind][part])))
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) identities.wrong(part, `of one kind each: ${quoted(twice)} is of two`)
  }
  return lists
}

const EVERYBODY = new Set(['system:authenticated', 'system:unauthenticated', 'system:serviceaccounts'])

function readIdentityList(list: PolicyFields): IdentityList {
  const users = list.texts('users', { pattern: /^[^]{1,512}$/, wanted: 'at most 512 characters', most: 64 })
  const groups = list.texts('groups', { pattern: /^[^]{1,512}$/, wanted: 'at most 512 characters', most: 64 })
  if (groups.some((group) => EVERYBODY.has(group)))
    list.wrong('groups', 'somebody: everybody is in that group')
  if (users.includes('system:anonymous')) list.wrong('users', 'somebody: anybody is called that')
  return { users, groups }
}

const MODULE = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?\/[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

function readException(exception: PolicyFields, { namespaces }: ModuleSelector): PolicyException {
  for (const field of ['rules', 'modules', 'approver', 'reason']) {
    if (!exception.has(field)) exception.wrong(field, 'there')
  }
  const untilSeconds = secondsOfTime(exception.text('until'))
  if (untilSeconds === undefined) exception.wrong('until', 'a time like 2027-01-31T00:00:00Z')
  const rules = exception.texts('rules', { wanted: '', most: 32 })
  if (!rules.every(isLoosened)) exception.wrong('rules', 'a list of rules that there are')
  const modules = exception.texts('modules', { pattern: MODULE, wanted: 'namespace/name', most: 64 })
  const isCovered = (module: string): boolean => namespaces.includes(module.split('/')[0] ?? '')
  if (namespaces.length > 0 && !modules.every(isCovered)) {
    exception.wrong('modules', 'a list of Modules in the namespaces that the policy covers')
  }
  const reason = exception.text('reason')
  if (exception.has('reason') && (reason.length < 8 || reason.length > 512)) {
    exception.wrong('reason', 'a sentence of 8 to 512 characters')
  }
  return {
    rules: rules.filter(isLoosened),
    modules,
    versions: readVersions(exception),
    untilSeconds: untilSeconds ?? 0,
    approver: exception.text('approver'),
    reason,
  }
}

/** In their plain spelling: v1.0.0 is 1.0.0. */
function readVersions(exception: PolicyFields): readonly string[] {
  const versions = exception.texts('versions', { wanted: '', most: 64 })
  return versions.map((text, index) => {
    const identity = readVersionIdentity(text)
    if (identity.ok) return identity.value.plain
    exception.wrong(`versions[${index}]`, `a version: ${identity.denial}`)
    return text
  })
}

const MODES: readonly [Mode, ...Mode[]] = ['enforce', 'warn', 'audit']

/** `defaultMode` for every rule that `modes` does not name. Enforcing is what they do of themselves. */
function readModes(spec: PolicyFields): ModulePolicySpec['modes'] {
  const fallback = spec.choice('defaultMode', MODES)
  const modes = spec.inner('modes')
  const named = new Map<RuleId, Mode>()
  for (const key of modes.keys()) {
    if (isLoosened(key)) named.set(key, modes.choice(key, MODES))
    else spec.wrong('modes', 'a mapping of rules that there are')
  }
  if (fallback === 'enforce') return Object.fromEntries(named)
  const rules = RULE_IDS.filter(isLoosened)
  return Object.fromEntries(rules.map((rule) => [rule, named.get(rule) ?? fallback]))
}

/** Whether there is such a rule, and a policy has a say in it. */
function isLoosened(text: string): text is RuleId {
  return RULE_IDS.some((rule) => rule === text) && !FIXED_RULE_IDS.some((rule) => rule === text)
}
