// Policies that cannot be meant: the example for GitOps with one thing changed each.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'

type Fields = Record<string, unknown>

const EXAMPLE = join(import.meta.dirname, '..', '..', 'deploy', 'examples', 'module_policy_gitops.yaml')

export function changedPolicy(change: (spec: Fields, policy: Fields) => void): unknown {
  const policy: Fields = Object(parse(readFileSync(EXAMPLE, 'utf8')))
  change(Object(policy['spec']), policy)
  return policy
}

export function exceptionOf(spec: Fields): Fields {
  return Object(spec['exceptions'])[0]
}

/** What is odd, how it is made so, and what the reader says. */
export const ODD_POLICIES: readonly (readonly [string, (spec: Fields, policy: Fields) => void, string])[] = [
  [
    'another kind',
    (_, policy) => (policy['kind'] = 'Module'),
    'the object is no ModulePolicy of sallyport.dev/v1alpha1',
  ],
  [
    'another version',
    (_, policy) => (policy['apiVersion'] = 'sallyport.dev/v1'),
    'the object is no ModulePolicy of sallyport.dev/v1alpha1',
  ],
  ['no selector', (spec) => delete spec['selector'], 'spec.selector is not there: {} covers every Module'],
  [
    'an empty list of namespaces',
    (spec) => (spec['selector'] = { namespaces: [] }),
    'spec.selector.namespaces is not a list of texts with something in it',
  ],
  [
    'a namespace that is a number',
    (spec) => (spec['selector'] = { namespaces: [1] }),
    'spec.selector.namespaces is not a list of texts with something in it',
  ],
  [
    'a label that is a flag',
    (spec) => (spec['selector'] = { matchLabels: { a: true } }),
    'spec.selector.matchLabels.a is not a string',
  ],
  [
    'an immutability that nobody knows',
    (spec) => (spec['immutability'] = true),
    'spec.immutability is not a string',
  ],
  [
    'an order that nobody knows',
    (spec) => (spec['ordering'] = 'semver'),
    'spec.ordering is not free or backport or monotonic',
  ],
  [
    'a mode that nobody knows',
    (spec) => (spec['modes'] = { 'WH-V1': 'off' }),
    'spec.modes.WH-V1 is not enforce or warn or audit',
  ],
  [
    'a mode of a rule that nobody knows',
    (spec) => (spec['modes'] = { 'WH-Z9': 'warn' }),
    'spec.modes is not a mapping of rules that there are',
  ],
  [
    'publishers that are one',
    (spec) => (spec['publishers'] = { source: 'github.com/acme/a' }),
    'spec.publishers is not a list',
  ],
  [
    'users that are one text',
    (spec) => (spec['identities'] = { gitops: { users: 'argocd' } }),
    'spec.identities.gitops.users is not a list of texts with something in it',
  ],
  [
    'an exception without an end',
    (spec) => delete exceptionOf(spec)['until'],
    'spec.exceptions[0].until is not a time like 2027-01-31T00:00:00Z',
  ],
  [
    'an exception that ends on no day',
    (spec) => (exceptionOf(spec)['until'] = '2027-02-30T00:00:00Z'),
    'spec.exceptions[0].until is not a time like 2027-01-31T00:00:00Z',
  ],
  [
    'an exception that nobody approved',
    (spec) => delete exceptionOf(spec)['approver'],
    'spec.exceptions[0].approver is not there',
  ],
  [
    'an exception for every Module',
    (spec) => delete exceptionOf(spec)['modules'],
    'spec.exceptions[0].modules is not there',
  ],
  [
    'an exception from a rule that nobody knows',
    (spec) => (exceptionOf(spec)['rules'] = ['WH-Z9']),
    'spec.exceptions[0].rules is not a list of rules that there are',
  ],
  [
    'a field that nobody knows',
    (spec) => (spec['imutability'] = 'required'),
    'spec has no field "imutability"',
  ],
  [
    'a field of the selector that nobody knows',
    (spec) => (spec['selector'] = { matchExpressions: [] }),
    'spec.selector has no field "matchExpressions"',
  ],
  [
    'a field of a publisher that nobody knows',
    (spec) => (spec['publishers'] = [{ repository: 'github.com/acme/a' }]),
    'spec.publishers[0] has no field "repository"',
  ],
  [
    'a kind of identity that nobody knows',
    (spec) => (spec['identities'] = { admins: { users: ['root'] } }),
    'spec.identities has no field "admins"',
  ],
  ['a field beside the spec', (_, policy) => (policy['specs'] = {}), 'the policy has no field "specs"'],
  [
    'a source with a wildcard, which matches nobody',
    (spec) => (spec['publishers'] = [{ source: 'github.com/acme/*' }]),
    'spec.publishers[0].source is not host and path of one repository, in lower case',
  ],
  [
    'a source in capitals',
    (spec) => (spec['publishers'] = [{ source: 'github.com/Acme/a' }]),
    'spec.publishers[0].source is not host and path of one repository, in lower case',
  ],
  [
    'a tag that publishes any version',
    (spec) => (spec['publishers'] = [{ refs: ['refs/tags/*'] }]),
    'spec.publishers[0].refs[0] is not a tag of one version: it names {version}',
  ],
  [
    'a ref that is every branch',
    (spec) => (spec['publishers'] = [{ refs: ['refs/heads/*'] }]),
    'spec.publishers[0].refs[0] is not some branches: that is any branch',
  ],
  [
    'a wildcard that runs into the version',
    (spec) => (spec['publishers'] = [{ refs: ['refs/tags/v{version}', 'refs/tags/*{version}'] }]),
    'spec.publishers[0].refs[1] is not clear: no * beside {version}, which would be part of a version',
  ],
  [
    'a ref of a pull request',
    (spec) => (spec['publishers'] = [{ refs: ['refs/pull/1/merge'] }]),
    'spec.publishers[0].refs[0] is not a Git reference like refs/tags/v{version}',
  ],
  [
    'a list that is everybody',
    (spec) => (spec['identities'] = { controller: { groups: ['system:authenticated'] } }),
    'spec.identities.controller.groups is not somebody: everybody is in that group',
  ],
  [
    'a list that is anybody',
    (spec) => (spec['identities'] = { human: { users: ['system:anonymous'] } }),
    'spec.identities.human.users is not somebody: anybody is called that',
  ],
  [
    'a user of two kinds',
    (spec) => (spec['identities'] = { human: { users: ['jo'] }, importer: { users: ['jo'] } }),
    'spec.identities.users is not of one kind each: "jo" is of two',
  ],
  [
    'a mode of a rule that policies stand on',
    (spec) => (spec['modes'] = { 'WH-L1': 'warn' }),
    'spec.modes is not a mapping of rules that there are',
  ],
  [
    'an exception to a rule that policies stand on',
    (spec) => (exceptionOf(spec)['rules'] = ['WH-O1']),
    'spec.exceptions[0].rules is not a list of rules that there are',
  ],
  [
    'an exception for a Module elsewhere',
    (spec) => (exceptionOf(spec)['modules'] = ['infra/vpc']),
    'spec.exceptions[0].modules is not a list of Modules in the namespaces that the policy covers',
  ],
  [
    'an exception for a version that is none',
    (spec) => (exceptionOf(spec)['versions'] = ['latest']),
    'spec.exceptions[0].versions[0] is not a version: it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them',
  ],
  [
    'an exception without a reason to speak of',
    (spec) => (exceptionOf(spec)['reason'] = 'because'),
    'spec.exceptions[0].reason is not a sentence of 8 to 512 characters',
  ],
]
