// What of a very large change crosses over from the thread: enough for the cluster to say what it knows, and no more, since copying
// all of it would hold up the event loop that the thread is there to spare.
import type { ChangeSubject } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import type { VersionEntry } from '#core/module/module_object.ts'
import { objectNames } from '#core/module/rules/m10_taken_names.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'
import type { Given } from './open_review.ts'

/** Without entries of `spec.versions` that are in both objects, and without what rules only compare. */
export function slimSubject(subject: ChangeSubject): ChangeSubject {
  switch (subject.resource) {
    case 'modules': {
      const slim = slimmer(
        subject.old?.versions,
        subject.new?.versions,
        (body: typeof subject.old, versions) =>
          body === undefined ? undefined : { ...body, versions, fileNames: new Map(), status: undefined },
      )
      return { ...subject, old: slim(subject.old), new: slim(subject.new) }
    }
    case 'providers': {
      const slim = slimmer(
        subject.old?.versions,
        subject.new?.versions,
        (body: typeof subject.old, versions) =>
          body === undefined ? undefined : { ...body, versions, versionNames: new Map(), status: undefined },
      )
      return { ...subject, old: slim(subject.old), new: slim(subject.new) }
    }
    case 'versions':
      return { ...subject, old: bare(subject.old), new: bare(subject.new) }
    case 'customresourcedefinitions':
      return { ...subject, old: schemaless(subject.old), new: schemaless(subject.new) }
    case 'depots':
    case 'groupbindings':
    case 'publishedversions':
    case 'modulepolicies':
    case 'namespaces':
      return subject
  }
}

type Entries = readonly VersionEntry[]

/** Entries that are the same in both lists tell nobody anything. */
function slimmer<Body extends { readonly versions: Entries } | undefined>(
  before: Entries | undefined,
  after: Entries | undefined,
  make: (body: Body, versions: Entries) => Body,
): (body: Body) => Body {
  const [old, fresh] = [textsOf(before), textsOf(after)]
  return (body) =>
    make(body, body?.versions.filter(({ version }) => !(old.has(version) && fresh.has(version))) ?? [])
}

function textsOf(entries: Entries | undefined): ReadonlySet<string> {
  return new Set(entries?.map(({ version }) => version))
}

type VersionBody = Extract<ChangeSubject, { resource: 'versions' }>['old']

function bare(body: VersionBody): VersionBody {
  return body === undefined ? undefined : { ...body, specButForceSync: undefined, status: undefined }
}

type DefinitionBody = Extract<ChangeSubject, { resource: 'customresourcedefinitions' }>['old']

function schemaless(body: DefinitionBody): DefinitionBody {
  if (body === undefined) return undefined
  return { ...body, versions: body.versions.map((version) => ({ ...version, schema: undefined })) }
}

/** Names of Version objects whose owners a rule may ask for. */
export function askedNames(slim: ChangeSubject): readonly string[] {
  if (slim.resource !== 'modules' && slim.resource !== 'providers') return []
  const { new: after } = slim
  if (after === undefined) return []
  return after.versions.flatMap(({ version }) => {
    const identity = readVersionIdentity(version)
    return identity.ok ? objectNames(after, identity.value.plain) : []
  })
}

/** What was given, as data: a thread takes no functions. */
export type PlainGiven = Omit<Given, 'facts'> & {
  readonly facts: Omit<LedgerFacts, 'versionNameOwner'>
  /** By name, of those that were asked. */
  readonly owners: ReadonlyMap<string, string>
}

export function plainGiven(given: Given, names: readonly string[]): PlainGiven {
  const { versionNameOwner, ...facts } = given.facts
  const owners = names.flatMap((name) => {
    const owner = versionNameOwner(name)
    return owner === undefined ? [] : [[name, owner] as const]
  })
  return { ...given, facts, owners: new Map(owners) }
}

export function givenAgain({ owners, ...given }: PlainGiven): Given {
  return { ...given, facts: { ...given.facts, versionNameOwner: (name) => owners.get(name) } }
}
