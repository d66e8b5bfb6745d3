// What of a very large change crosses over between the thread and the event loop: enough for the cluster to say what it knows, and for
// the rules to use it, and no more, since copying all of it would hold up the event loop that the thread is there to spare.
import type { ChangeSubject, ModuleSubject, ProviderSubject } from '#core/module/change.ts'
import type { LedgerFacts } from '#core/module/ledger.ts'
import { boundedLabels, boundedModuleConfig, boundedProviderConfig } from '#core/module/listing_bounds.ts'
import type { ModuleObject, ProviderObject, VersionEntry } from '#core/module/module_object.ts'
import { objectNames } from '#core/module/rules/m10_taken_names.ts'
import { tooMuchAtOnce } from '#core/module/rules/v11_at_once.ts'
import { touchedEntries, versionChanges } from '#core/module/version_changes.ts'
import { readVersionIdentity } from '#core/module/version_identity.ts'
import type { Given } from './open_review.ts'

export type SlimSubject = {
  readonly subject: ChangeSubject
  /** Versions that are added, plain: of their objects' names the verdict may depend on who has them. */
  readonly added: readonly string[]
}

/** Without entries of `spec.versions` that are the same in both objects, and without what rules only compare. */
export function slimSubject(subject: ChangeSubject): SlimSubject {
  switch (subject.resource) {
    case 'modules': {
      const slim = slimmer(subject, (body: typeof subject.old, versions) =>
        body === undefined
          ? undefined
          : {
              ...body,
              meta: boundedLabels(body.meta),
              config: boundedModuleConfig(body.config),
              versions,
              fileNames: new Map(),
              status: undefined,
            },
      )
      return {
        subject: { ...subject, old: slim.old(subject.old), new: slim.new(subject.new) },
        added: slim.added,
      }
    }
    case 'providers': {
      const slim = slimmer(subject, (body: typeof subject.old, versions) =>
        body === undefined
          ? undefined
          : {
              ...body,
              meta: boundedLabels(body.meta),
              config: boundedProviderConfig(body.config),
              versions,
              versionNames: new Map(),
              status: undefined,
            },
      )
      return {
        subject: { ...subject, old: slim.old(subject.old), new: slim.new(subject.new) },
        added: slim.added,
      }
    }
    case 'versions':
      return { subject: { ...subject, old: bare(subject.old), new: bare(subject.new) }, added: [] }
    case 'customresourcedefinitions':
      return {
        subject: { ...subject, old: schemaless(subject.old), new: schemaless(subject.new) },
        added: [],
      }
    case 'depots':
    case 'groupbindings':
    case 'publishedversions':
    case 'modulepolicies':
    case 'namespaces':
      return { subject, added: [] }
  }
}

type Slimmer<Body> = {
  readonly old: (body: Body) => Body
  readonly new: (body: Body) => Body
  readonly added: readonly string[]
}

function slimmer<Body>(
  subject: ModuleSubject | ProviderSubject,
  make: (body: Body, versions: readonly VersionEntry[]) => Body,
): Slimmer<Body> {
  const { old: before, new: after } = subject
  const changes = versionChanges(before, after)
  // Of what is deleted no entry says who does it, and what is too much is refused, whoever asks and whatever is there.
  if (after === undefined || tooMuchAtOnce(subject, changes) !== undefined) {
    const none = (body: Body): Body => make(body, [])
    return { old: none, new: none, added: [] }
  }
  const touched = touchedEntries(before, after)
  return {
    old: (body) => make(body, touched.before.map(entryOf)),
    new: (body) => make(body, touched.after.map(entryOf)),
    added: changes.added.map(({ plain }) => plain),
  }
}

function entryOf({ entry }: { readonly entry: VersionEntry }): VersionEntry {
  return entry
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

/** What was given, as data: a thread takes no functions. `published` goes before it, in parts. */
export type PlainGiven = Omit<Given, 'facts'> & {
  readonly facts: Omit<LedgerFacts, 'versionNameOwner' | 'published'>
  /** Entries that facts.module or facts.provider lists, where rules ask for no more than how many. */
  readonly listed: number | undefined
  /** Of Version objects, by name, of those that were asked about. */
  readonly owners: ReadonlyMap<string, string>
}

/** Others get their turn in between: a Provider may add 32,000 names. */
export async function plainGiven(
  given: Given,
  { subject, added }: SlimSubject,
  inTurns: InTurns,
): Promise<PlainGiven> {
  const { versionNameOwner, published: _published, module, provider, ...facts } = given.facts
  const owners = new Map<string, string>()
  await inTurns(namesOf(subject, added), (name) => {
    const owner = versionNameOwner(name)
    if (owner !== undefined) owners.set(name, owner)
  })
  const slim = <Body extends ModuleObject | ProviderObject>(body: Body | undefined): Body | undefined =>
    body === undefined ? undefined : { ...body, versions: entriesAsked(body, subject), status: undefined }
  const isListing = subject.resource === 'modules' || subject.resource === 'providers'
  return {
    ...given,
    facts: { ...facts, module: slim(module), provider: slim(provider) },
    listed: isListing ? (module ?? provider)?.versions.length : undefined,
    owners,
  }
}

/** Does something with each of many. */
export type InTurns = <Item>(items: Iterable<Item>, visit: (item: Item) => void) => Promise<void>

function* namesOf(subject: ChangeSubject, added: readonly string[]): Generator<string> {
  if (subject.resource !== 'modules' && subject.resource !== 'providers') return
  if (subject.new === undefined) return
  const namesOfVersion = objectNames(subject.new)
  for (const plain of added) yield* namesOfVersion(plain)
}

/** Of a Version's owner those of that version: whether it is listed is all that is asked. */
function entriesAsked(
  { versions }: ModuleObject | ProviderObject,
  subject: ChangeSubject,
): readonly VersionEntry[] {
  if (subject.resource !== 'versions') return []
  const identity = readVersionIdentity((subject.old ?? subject.new)?.version ?? '')
  if (!identity.ok) return []
  const { plain } = identity.value
  return versions.filter(({ version }) => version === plain || version === `v${plain}`)
}

const NOT_ASKED: VersionEntry = { version: '' }

export function givenAgain(
  { owners, listed, ...given }: PlainGiven,
  published: LedgerFacts['published'],
): Given {
  const whole = <Body extends ModuleObject | ProviderObject>(body: Body | undefined): Body | undefined =>
    body === undefined || listed === undefined
      ? body
      : { ...body, versions: Array.from({ length: listed }, () => NOT_ASKED) }
  const { module, provider, ...facts } = given.facts
  return {
    ...given,
    facts: {
      ...facts,
      published,
      module: whole(module),
      provider: whole(provider),
      versionNameOwner: (name) => owners.get(name),
    },
  }
}
