// WH-M13: a Module comes back under the name of one that published. It may bring back what was there, not replace it.
import { configPath, heldKind, isAnyVersionHeld, isVersionHeld, kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { PublishedFacts } from '#core/module/ledger.ts'
import { doesPinAgree, PINS_ANNOTATION, readPins } from '#core/module/pins.ts'
import { quoted } from '#core/module/printable.ts'
import { sourceOf } from '#core/module/source_of.ts'
import type { Finding } from '#core/module/verdict.ts'
import { storedAs } from './v1_removed.ts'

export function recreatedModule(subject: ListCase): readonly Finding[] {
  const { change, ledger } = subject
  if (change.operation !== 'CREATE' || change.new === undefined || ledger.published.size === 0) return []
  const existing = change.resource === 'modules' ? ledger.module : ledger.provider
  return existing === undefined
    ? [...otherSource(subject), ...otherContent(subject)]
    : alreadyThere(subject, existing.versions.length)
}

/**
 * The API server asks before it looks whether the name is free, so a create of what is there ends here. Nothing of what it
 * says of versions would come to be, unless somebody deletes the object at this moment.
 */
function alreadyThere(subject: ListCase, count: number): readonly Finding[] {
  const { change } = subject
  const isHeld = isAnyVersionHeld(subject)
  const kind = kindName(change)
  const message = `this ${kind} exists already, with ${count === 1 ? '1 version' : `${count} versions`}, and cannot be created again`
  const wayOut = isHeld ? `change it: kubectl apply, or kubectl patch ${kind.toLowerCase()}` : ''
  return [{ rule: 'WH-M13', kind: heldKind(isHeld), path: 'metadata.name', message, wayOut }]
}

function otherSource(subject: ListCase): readonly Finding[] {
  const { change, ledger } = subject
  // A Provider has no repository of ours to come from.
  if (change.resource !== 'modules' || change.new === undefined) return []
  const source = sourceOf(change.new)
  const last = lastSources(ledger.published)
  const [first] = last
  if (first === undefined || last.some((one) => one.source === source)) return []
  const isHeld = [...ledger.published.keys()].some((version) => isVersionHeld(subject, version))
  const was =
    first.plain === undefined
      ? `a Module of this name was moved to ${quoted(first.source)}`
      : `a Module of this name published ${first.plain} from ${quoted(first.source)}`
  const message = `${was}, and this one comes from ${quoted(source ?? 'nowhere that it says')}`
  const wayOut = isHeld ? 'choose another name, or the repository that it came from last' : ''
  return [{ rule: 'WH-M13', kind: heldKind(isHeld), path: `${configPath(change)}.repoUrl`, message, wayOut }]
}

/** `plain`: of the version that was published from there; absent where it was moved there. */
type Origin = { readonly plain?: string; readonly source: string }

/**
 * Where it came from last: a Module that was migrated came from more than one repository, and the one that it left gets no say any
 * more. Several where nobody knows when they published, as after the loss of the ledger.
 */
function lastSources(published: ReadonlyMap<string, PublishedFacts>): readonly Origin[] {
  let last: Origin[] = []
  let lastAt = -Infinity
  const take = (at: number, origin: Origin): void => {
    if (at < lastAt) return
    if (at > lastAt) last = []
    lastAt = at
    last.push(origin)
  }
  for (const [plain, { source, atSeconds = -Infinity, moved = [] }] of published) {
    if (source !== undefined) take(atSeconds, { plain, source })
    for (const move of moved) if (move.source !== undefined) take(move.atSeconds, { source: move.source })
  }
  return last
}

function otherContent(subject: ListCase): readonly Finding[] {
  const { change, ledger, versions } = subject
  const pins = readPins(change.new)
  const unproven = versions.added.flatMap(({ index, plain }) => {
    const facts = ledger.published.get(plain)
    if (facts === undefined || (pins.ok && doesPinAgree(pins.value.get(plain), facts))) return []
    return [{ index, plain, facts, isHeld: isVersionHeld(subject, plain) }]
  })
  const wayBack = wayToBringBack(subject, unproven)
  return unproven.flatMap(({ index, plain, facts, isHeld }) => {
    const message = `version ${plain} was published before under this name${storedAs(facts)} (now ${facts.state})`
    const wayOut = isHeld ? wayBack(facts) : ''
    return [
      {
        rule: 'WH-M13',
        kind: heldKind(isHeld),
        path: `spec.versions[${index}]`,
        message,
        wayOut,
        version: plain,
      },
    ]
  })
}

type Unproven = { readonly plain: string; readonly facts: PublishedFacts; readonly isHeld: boolean }

/** Pins of more versions than this make no command any more: the ledger has them. */
const MAX_PINNED = 6

/**
 * One text for all that can be proven, so that it can be typed, and one for the rest. A Module that was deleted while its rules only
 * warned is nobody's mistake here: what it was is brought back by its pins, or by whoever writes policies.
 */
function wayToBringBack(
  { change }: ListCase,
  unproven: readonly Unproven[],
): (facts: PublishedFacts) => string {
  const pins = unproven.flatMap(({ plain, facts, isHeld }) => {
    const known = knownContent(facts)
    return isHeld && known !== undefined ? [`${plain}=${known}`] : []
  })
  const named = `${change.namespace}/${change.name}`
  const key = /^[-a-z0-9./]+$/.test(named) ? named : quoted(named)
  const shown = change.resource === 'providers' ? `${key} --provider` : key
  const pinned =
    pins.length > MAX_PINNED
      ? `annotation ${PINS_ANNOTATION} with <version>=<commit> of each: sallyport ledger show ${shown}`
      : `annotation ${PINS_ANNOTATION}="${pins.join(',')}"`
  const toPin = `list the next version in its place, or bring it back as what it was: ${pinned}`
  const toExcept = `list the next version in its place, since what this one was made of is not known; or whoever writes policies lets it back as it comes: exceptions of the ModulePolicy with WH-M13, ${key} and a day`
  return (facts) => (knownContent(facts) === undefined ? toExcept : toPin)
}

/** What a pin says to agree. */
function knownContent({ commit, digest }: PublishedFacts): string | undefined {
  return commit ?? digest
}
