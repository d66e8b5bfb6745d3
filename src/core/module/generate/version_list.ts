// What a request does to a list of versions, in CEL: the same as version_changes.ts finds. Publishing appends, so what is before the
// new entries is compared as a whole; only a list that was rewritten is gone through entry by entry.
import { celPattern } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'

const NUMBER = '(?:0|[1-9][0-9]{0,17})'
const PART = '(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)'
/** Strict SemVer 2.0.0 without build metadata, as in version_identity.ts, to stand in a pattern. */
export const SEMVER = `${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-${PART}(?:\\.${PART})*)?`
const MAX_LENGTH = 64

/** Of a plain spelling. */
export function isVersion(text: Cel): Cel {
  return `(${text}.size() <= ${MAX_LENGTH} && ${text}.matches(${celPattern(`^${SEMVER}$`)}))`
}

/** Without its v; what is no version as it is written. */
export function plainOf(text: Cel): Cel {
  const pattern = celPattern(`^v${SEMVER}$`)
  const hasV = `${text}.startsWith('v') && ${text}.size() <= ${MAX_LENGTH} && ${text}.matches(${pattern})`
  return `(${hasV} ? ${text}.substring(1) : ${text})`
}

/** Whether a plain spelling is among the texts that are stored. */
function isStored(plain: Cel): Cel {
  return `(${plain} in variables.oldTexts || 'v' + ${plain} in variables.oldTexts)`
}

const TEXT = "entry.?version.orValue('')"

export const VERSION_LIST: readonly Variable[] = [
  {
    name: 'oldEntries',
    expression: "request.operation == 'CREATE' ? [] : oldObject.spec.?versions.orValue([])",
  },
  {
    name: 'newEntries',
    expression: "request.operation == 'DELETE' ? [] : object.spec.?versions.orValue([])",
  },
  {
    name: 'isAppended',
    expression: `variables.oldEntries.size() <= variables.newEntries.size() &&
variables.newEntries.slice(0, variables.oldEntries.size()) == variables.oldEntries`,
  },
  { name: 'oldTexts', expression: `variables.oldEntries.map(entry, ${TEXT})` },
  { name: 'oldPlains', expression: `variables.oldTexts.map(text, ${plainOf('text')})` },
  {
    name: 'tailEntries',
    expression: `variables.isAppended
? variables.newEntries.slice(variables.oldEntries.size(), variables.newEntries.size())
: variables.newEntries`,
  },
  // All of the new list where it was rewritten.
  { name: 'tailTexts', expression: `variables.tailEntries.map(entry, ${TEXT})` },
  { name: 'tailPlains', expression: `variables.tailTexts.map(text, ${plainOf('text')})` },
  {
    name: 'fresh',
    expression: `variables.tailPlains.filter(plain, !${isStored('plain')}).distinct()`,
  },
  { name: 'added', expression: `variables.fresh.filter(plain, ${isVersion('plain')})` },
  {
    name: 'removedAt',
    expression: `request.operation != 'UPDATE' || variables.isAppended ? [] :
variables.oldPlains.transformList(index, plain,
!(plain in variables.tailPlains) && variables.oldPlains.indexOf(plain) == index, index)`,
  },
  {
    name: 'rewrittenAt',
    inline: true,
    expression: `request.operation != 'UPDATE' || variables.isAppended ? [] :
variables.oldTexts.transformList(index, text, !(text in variables.tailTexts) &&
variables.oldPlains[index] in variables.tailPlains &&
variables.oldPlains.indexOf(variables.oldPlains[index]) == index, index)`,
  },
  {
    name: 'doubled',
    inline: true,
    expression: `variables.tailPlains.size() == variables.fresh.size() ? [] :
variables.tailPlains.transformList(index, plain,
((variables.isAppended && ${isStored('plain')}) || variables.tailPlains.indexOf(plain) != index) &&
variables.oldTexts.filter(text, ${plainOf('text')} == plain).size() < 2, plain).distinct()`,
  },
]
