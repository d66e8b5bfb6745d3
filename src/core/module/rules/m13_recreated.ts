// WH-M13: a Module comes back under the name of one that published. It may bring back what was there, not replace it.
import { configPath, heldKind, isAnyVersionHeld, isVersionHeld, kindName } from '#core/module/module_case.ts'
import type { ListCase } from '#core/module/module_case.ts'
import type { PublishedFacts } from '#core/module/ledger.ts'
import { doesPinAgree, readPins } from '#core/module/pins.ts'
import { quoted } from '#core/module/printable.ts'
import { sourceOf } from '#core/module/source_of.ts'
import type { Finding } from '#core/module/verdict.ts'
import { storedAs } from './v1_removed.ts'
import { wayToRestore } from './v2_readded.ts'

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
  return versions.added.flatMap(({ index, plain }) => {
    const facts = ledger.published.get(plain)
    if (facts === undefined || (pins.ok && doesPinAgree(pins.value.get(plain), facts))) return []
    const isHeld = isVersionHeld(subject, plain)
    const message = `version ${plain} was published before under this name${storedAs(facts)} (now ${facts.state})`
    const wayOut = isHeld ? wayToRestore(plain, facts) : ''
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
