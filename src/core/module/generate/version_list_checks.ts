// The rules about the versions of a Module or a Provider (WH-V), in CEL and in the words of core/module/rules.
import { UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import { celPattern, celText, noted, quoted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { lacks, mayDo, resourceOf, UNPUBLISH_REASON } from './module_facts.ts'
import type { ListKind } from './module_facts.ts'
import { isVersion, plainOf, SEMVER } from './version_list.ts'

/** What a removed or added text is called. */
const NAME = (plain: Cel): Cel => `(${isVersion(plain)} ? ${plain} : ${quoted(plain)})`

const PLAIN_NAMES = `(request.namespace + '/' + oldObject.metadata.name).matches('^[a-z0-9][a-z0-9.-]{0,252}/[a-z0-9][a-z0-9.-]{0,252}$')`

function wayBack(kind: ListKind, ordering: Ordering): Cel {
  const breaking = `to unpublish for good: annotation ${UNPUBLISH_ANNOTATION}="<version>: <reason>" and the verb unpublish on this ${kind}`
  const target = resourceOf(kind).slice(0, -1)
  // What is refused for its place in the order would be refused again.
  const appended =
    ordering === 'free'
      ? 'variables.added'
      : 'variables.added.filter(version, !(version in variables.belowOld))'
  // As it was written: the same version in another spelling would be fetched again.
  const written = `variables.tailTexts.filter(text, ${plainOf('text')} in ${appended})`
  // Who reads this in Argo CD has no use for a command: what it would write, git takes away again.
  return `variables.isGitops ? ${celText(`put what was published back in git and add to it; ${breaking}`)}
: ${appended}.size() == 0 || ${appended}.size() > 6 || !${PLAIN_NAMES}
? ${celText(`leave every published entry in spec.versions and add to it; ${breaking}`)}
: 'append instead of replacing the list: kubectl patch ${target} ' + oldObject.metadata.name + ' -n ' + request.namespace +
${celText(" --type json -p '[")} + ${written}.map(version,
${celText('{"op":"add","path":"/spec/versions/-","value":{"version":"')} + version + ${celText('"}}')}).join(',') +
${celText(`]'; ${breaking}`)}`
}

const REPLACED: readonly Variable[] = [
  // Where an entry was taken off and another stands now, with nothing moved.
  {
    name: 'replacedAt',
    expression: `variables.oldEntries.size() == variables.newEntries.size()
? variables.removedAt.filter(index, variables.tailPlains[index] in variables.added) : []`,
  },
  {
    name: 'droppedAt',
    inline: true,
    expression: 'variables.removedAt.filter(index, !(index in variables.replacedAt))',
  },
]

const CONTROLLERS_WAY =
  'remove versionHistoryLimit, or pin the Depot to versions that stay; what was published stays listed'

type Removal = {
  readonly rule: 'WH-V1' | 'WH-V3' | 'WH-V13' | 'WH-D1'
  readonly name: string
  readonly at: string
  readonly when: Cel
  readonly wayOut: Cel
}

const REMOVALS: readonly Removal[] = [
  {
    rule: 'WH-V1',
    name: 'v1',
    at: 'droppedAt',
    when: '!variables.isController',
    wayOut: 'variables.wayBack',
  },
  {
    rule: 'WH-V3',
    name: 'v3',
    at: 'replacedAt',
    when: '!variables.isController',
    wayOut: 'variables.wayBack',
  },
  {
    rule: 'WH-V13',
    name: 'v13',
    at: 'removedAt',
    when: 'variables.isController && variables.wasLimit > 0',
    wayOut: celText(CONTROLLERS_WAY),
  },
  {
    rule: 'WH-D1',
    name: 'd1',
    at: 'removedAt',
    when: 'variables.isController && variables.wasLimit <= 0',
    wayOut: celText(CONTROLLERS_WAY),
  },
]

/** Which of the removed are denied, named by who breaks the glass, or only told of. */
function removalVariables({ name, at, when }: Removal): readonly Variable[] {
  const of = (condition: Cel): Cel =>
    `!(${when}) ? [] : variables.${at}.filter(index, ${condition}).map(index, variables.oldPlains[index])`
  return [
    {
      name: `${name}Removed`,
      inline: true,
      expression: of('variables.isHeld && !(variables.oldPlains[index] in variables.unpublishNames)'),
    },
    {
      name: `${name}Unpublished`,
      inline: true,
      expression: of('variables.isHeld && variables.oldPlains[index] in variables.unpublishNames'),
    },
    { name: `${name}Dropped`, inline: true, expression: of('!variables.isHeld') },
  ]
}

function removalChecks({ rule, name, wayOut }: Removal): readonly Check[] {
  const sentence = (plain: Cel): Cel =>
    `'version ' + ${NAME(plain)} + ' was published and is taken off spec.versions'`
  const unpublished = (plain: Cel): Cel =>
    `${sentence(plain)} + ': unpublished (' + ${UNPUBLISH_REASON} + ')'`
  const checks: Check[] = [
    {
      rule,
      kind: 'forbidden',
      name,
      problems: told({ rule, list: `variables.${name}Removed`, sentence, wayOut, short: NAME }),
    },
    {
      rule,
      kind: 'forbidden',
      name: `${name}Glass`,
      problems: told({
        rule,
        list: `variables.${name}Unpublished`,
        sentence,
        wayOut: `${lacks('unpublish')} + ${wayOut}`,
        short: NAME,
      }),
      unless: mayDo('unpublish'),
    },
    {
      rule,
      kind: 'notice',
      name: `${name}Broken`,
      problems: noted({ rule, list: `variables.${name}Unpublished`, sentence: unpublished }),
      onlyIf: mayDo('unpublish'),
    },
  ]
  // Pruning is what versionHistoryLimit is for, where nothing is immutable.
  if (name === 'v13') return checks
  const dropped = noted({ rule, list: `variables.${name}Dropped`, sentence, short: NAME })
  return [...checks, { rule, kind: 'notice', name: `${name}Notice`, problems: dropped }]
}

/** As in v7_not_a_version.ts. */
const MALFORMED: readonly Variable[] = [
  {
    name: 'malformed',
    expression: `variables.fresh.filter(text, !${isVersion('text')})`,
  },
  // Only the part from the + on keeps it from being a version.
  {
    name: 'withBuild',
    expression: `variables.malformed.filter(text, text.size() <= 64 && text.matches(${celPattern(`^v?${SEMVER}\\+`)}))`,
  },
  {
    name: 'notVersions',
    inline: true,
    expression: 'variables.malformed.filter(text, !(text in variables.withBuild))',
  },
]

const VERSION_WAY = 'write MAJOR.MINOR.PATCH, as in 1.4.0 or 2.0.0-rc.1, and give the tag that name'

const WHY_NO_VERSION = (text: Cel): Cel =>
  `(${text} == '' ? 'it is empty' : ${text}.size() > 64 ? 'it is longer than 64 characters'
: ${text}.matches(${celPattern('^v?(0|[1-9][0-9]{0,17})\\.(0|[1-9][0-9]{0,17})\\.(0|[1-9][0-9]{0,17})-[0-9A-Za-z.-]+$')})
? 'its pre-release has an empty part or a number with a leading zero'
: 'it is not MAJOR.MINOR.PATCH with an optional pre-release, as SemVer 2.0.0 writes them')`

const OTHER_FIELDS: readonly Variable[] = [
  {
    name: 'withFields',
    inline: true,
    expression: `(request.operation == 'DELETE' ? [] : variables.tailEntries).filter(entry,
(has(entry.name) && !variables.oldEntries.exists(old, has(old.name) && SAME)) ||
(has(entry.fileName) && !variables.oldEntries.exists(old, has(old.fileName) && SAME)) ||
(has(entry.synced) && !variables.oldEntries.exists(old, has(old.synced) && SAME)))`.replaceAll(
      'SAME',
      'old.?version == entry.?version',
    ),
  },
]

/** OpenDepot compares a Module's entries as texts. */
function spellingChecks(): readonly Check[] {
  const spelled = (index: Cel): Cel =>
    `'version ' + ${NAME(`variables.oldPlains[${index}]`)} + ' is stored as ' + ${quoted(`variables.oldTexts[${index}]`)} + ' and would be written another way'`
  return [
    {
      rule: 'WH-V4',
      kind: 'forbidden',
      name: 'v4Spelling',
      problems: told({
        rule: 'WH-V4',
        list: 'variables.respelled',
        sentence: spelled,
        short: (index) => NAME(`variables.oldPlains[${index}]`),
        wayOut: `all.size() == 1 ? 'write ' + ${quoted('variables.oldTexts[all[0]]')} : 'write each as it is stored'`,
      }),
    },
    {
      rule: 'WH-V4',
      kind: 'notice',
      name: 'v4SpellingNotice',
      problems: noted({
        rule: 'WH-V4',
        list: 'variables.respelledNotice',
        sentence: spelled,
        short: (index) => NAME(`variables.oldPlains[${index}]`),
      }),
    },
    {
      rule: 'WH-V4',
      kind: 'invalid',
      name: 'v4Twice',
      problems: told({
        rule: 'WH-V4',
        list: 'variables.doubled',
        sentence: (plain) => `'version ' + ${quoted(plain)} + ' is listed twice'`,
        short: NAME,
        wayOut: celText('list it once; v1.2.0 and 1.2.0 are one version'),
      }),
    },
    {
      rule: 'WH-V4',
      kind: 'invalid',
      name: 'v4Fields',
      problems: told({
        rule: 'WH-V4',
        list: 'variables.withFields',
        sentence: (entry) =>
          `'the entry of version ' + ${quoted(`${entry}.?version.orValue('')`)} + ' has the field "' + (has(${entry}.name) ? 'name' : has(${entry}.fileName) ? 'fileName' : 'synced') + '"; OpenDepot deletes a Version whose entry says more than version'`,
        short: (entry) => quoted(`${entry}.?version.orValue('')`),
        wayOut: celText('write only version; a pinned commit goes into the annotation sallyport.dev/pins'),
      }),
    },
  ]
}

function malformedChecks(): readonly Check[] {
  return [
    {
      rule: 'WH-V6',
      kind: 'invalid',
      name: 'v6',
      problems: told({
        rule: 'WH-V6',
        list: 'variables.withBuild',
        sentence: (text) =>
          `${quoted(text)} + ' is not a version: it has build metadata (the part from + on)'`,
        short: quoted,
        wayOut: celText(VERSION_WAY),
      }),
    },
    {
      rule: 'WH-V7',
      kind: 'invalid',
      name: 'v7',
      problems: told({
        rule: 'WH-V7',
        list: 'variables.notVersions',
        sentence: (text) => `${quoted(text)} + ' is not a version: ' + ${WHY_NO_VERSION(text)}`,
        short: quoted,
        wayOut: celText(VERSION_WAY),
      }),
    },
  ]
}

const RESPELLED: readonly Variable[] = [
  {
    name: 'respelled',
    inline: true,
    expression: 'variables.isHeld && !variables.isController ? variables.rewrittenAt : []',
  },
  {
    name: 'respelledNotice',
    inline: true,
    expression: 'variables.isHeld && !variables.isController ? [] : variables.rewrittenAt',
  },
]

const MAX_VERSIONS = 500

function limitChecks(kind: ListKind): readonly Check[] {
  const count = 'variables.newEntries.size()'
  const path = 'variables.limit'
  return [
    {
      rule: 'WH-V11',
      kind: 'invalid',
      name: 'v11',
      problems: toldWhere(
        `${count} > ${MAX_VERSIONS} && ${count} > variables.oldEntries.size()`,
        'WH-V11',
        `'spec.versions would have ' + string(${count}) + ' entries, the most is ${MAX_VERSIONS}'`,
        celText(`publish further versions in a second ${kind}`),
      ),
    },
    {
      rule: 'WH-V12',
      kind: 'invalid',
      name: 'v12Prunes',
      problems: toldWhere(
        `${path} > 0 && variables.isHeld && (!variables.wasHeld || variables.wasLimit <= 0 || ${path} < variables.wasLimit)`,
        'WH-V12',
        `'versionHistoryLimit ' + string(${path}) + ' takes published versions away, and this ${kind} is immutable'`,
        celText('remove versionHistoryLimit'),
      ),
    },
    {
      rule: 'WH-V12',
      kind: 'invalid',
      name: 'v12Crashes',
      problems: toldWhere(
        `${path} > 0 && !variables.isHeld && ${path} > ${count} &&
(request.operation == 'CREATE' || ${path} != variables.wasLimit || ${count} < variables.oldEntries.size())`,
        'WH-V12',
        `'versionHistoryLimit ' + string(${path}) + ' is above the ' + string(${count}) + " versions listed, and OpenDepot's controller crashes on that"`,
        `'leave versionHistoryLimit out until there are ' + string(${path}) + ' versions'`,
      ),
    },
  ]
}

/** @param ordering as the policy has it */
function orderVariables(ordering: Ordering): readonly Variable[] {
  if (ordering === 'free') return []
  const isOfMajor = ordering === 'backport' ? ` && semver(old).major() == semver(version).major()` : ''
  return [
    {
      name: 'oldVersions',
      expression: `variables.oldPlains.filter(plain, ${isVersion('plain')})`,
    },
    {
      name: 'belowOld',
      expression: `variables.added.filter(version, variables.oldVersions.exists(old,
semver(old).compareTo(semver(version)) >= 0${isOfMajor}))`,
    },
  ]
}

/** What was published and taken away is not seen here. */
function orderChecks(ordering: Ordering): readonly Check[] {
  if (ordering === 'free') return []
  const where = ordering === 'backport' ? ' of its major' : ''
  return [
    {
      rule: 'WH-V9',
      kind: 'forbidden',
      name: 'v9',
      problems: told({
        rule: 'WH-V9',
        list: 'variables.belowOld',
        sentence: (version) =>
          `'version ' + ${version} + ' is below the newest published${where} (ordering: ${ordering})'`,
        wayOut: celText('publish a version above the newest'),
      }),
    },
  ]
}

export type Ordering = 'free' | 'backport' | 'monotonic'

export function versionVariables(kind: ListKind, ordering: Ordering): readonly Variable[] {
  return [
    ...MALFORMED,
    ...orderVariables(ordering),
    { name: 'wayBack', expression: wayBack(kind, ordering) },
    ...REPLACED,
    ...REMOVALS.flatMap(removalVariables),
    ...RESPELLED,
    ...OTHER_FIELDS,
  ]
}

/** Another spelling of a version is the same to OpenDepot's Provider controller, and one may stand once for each platform. */
export function versionChecks(kind: ListKind, ordering: Ordering): readonly Check[] {
  return [
    ...REMOVALS.flatMap(removalChecks),
    ...(kind === 'Module' ? spellingChecks() : []),
    ...malformedChecks(),
    ...orderChecks(ordering),
    ...limitChecks(kind),
  ]
}
