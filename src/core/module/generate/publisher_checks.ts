// Who publishes (WH-P1) and what a version is made of (WH-P2), in CEL. The id of the first publisher is in the ledger, so it is for the
// webhook to compare; an id that a policy names is compared here.
import { foldSource } from '#core/module/source_of.ts'
import type { ModulePolicySpec, Publisher } from '#core/module/module_policy.ts'
import { PINS_ANNOTATION } from '#core/module/pins.ts'
import { allOf, anyOf, celList, celPattern, celText, noted, quoted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import type { ListKind } from './module_facts.ts'
import { isVersion, plainOf, SEMVER } from './version_list.ts'

const IS_UPDATED = "request.operation == 'UPDATE'"

/** What a URL keeps as it is in a path, but for dots that go up; anything else names no repository here. */
const SEGMENT = '[A-Za-z0-9._~!$&()*+,;=:@%|-]+'
const ADDRESS = `^(?:https?|ssh|git)://(?:[^/@?#\\s\\\\]*@)?[a-z0-9_.-]+(?::[1-9][0-9]{0,4})?/+${SEGMENT}(?:/${SEGMENT})+/*$`
const SHORT_ADDRESS = '^[a-z0-9_.-]+@[a-z0-9.-]+:[^/].*$'

/** Of `parts`, an address and what stands in it behind the scheme and whoever logs in: a port of ssh is not the web's. */
const HOST = `parts[0].startsWith('ssh:') ||
(parts[0].startsWith('https:') && parts[1].find('^[^/]*').endsWith(':443')) ||
(parts[0].startsWith('http:') && parts[1].find('^[^/]*').endsWith(':80'))
? parts[1].find('^[^/:]*') : parts[1].find('^[^/]*')`

/** `sourceOf` of a Module with these settings. */
function sourceOfSettings(settings: Cel): Cel {
  const ofAddress = `[${settings}.repoUrl.lowerAscii()]
.map(text, text.matches(${celPattern(SHORT_ADDRESS)}) ? 'ssh://' + text.replace(':', '/', 1) : text)
.map(address, [address, address.matches(${celPattern(ADDRESS)})
? address.find(r'://.*').replace(address.find(r'://(?:[^/@]*@)?'), '', 1) : ''])
.map(parts, [${HOST}, parts[1].find('/.*').find('[^/].*[^/]')])
.map(parts, [parts[0], parts[1].endsWith('.git') ? parts[1].substring(0, parts[1].size() - 4) : parts[1]])
.map(parts, parts[1].matches('^[^/]+(/[^/]+)+$') &&
!parts[1].split('/').exists(part, part.replace('%2e', '.') in ['.', '..']) ? parts[0] + '/' + parts[1] : '')[0]`
  const ofOwner = `[${settings}.repoOwner, ${settings}.name].all(part,
part.matches(${celPattern('^[^\\s\\p{C}/\\\\]+$')}) && !(part in ['.', '..']))
? 'github.com/' + ${settings}.repoOwner.lowerAscii() + '/' + ${settings}.name.lowerAscii() : ''`
  return `${settings}.repoUrl != '' ? ${ofAddress} : ${ofOwner}`
}

const OWN_REPOSITORY: Publisher = { ids: [], refs: [] }
const DEFAULT_REFS = ['refs/tags/v{version}', 'refs/tags/{version}']

function publishersOf(spec: ModulePolicySpec | undefined): readonly Publisher[] {
  return spec === undefined || spec.publishers.length === 0 ? [OWN_REPOSITORY] : spec.publishers
}

function refsOf({ refs }: Publisher): readonly string[] {
  return refs.length > 0 ? refs : DEFAULT_REFS
}

/** Texts of RE2 for the literal parts of a ref. */
function literal(text: string): string {
  return text.replaceAll(/[\\^$.|?*+()[\]{}]/g, String.raw`\$&`)
}

/** The glob of core/policy/glob.ts: `*` is one character or more of one segment. */
function glob(pattern: string): string {
  return pattern.split('*').map(literal).join('[^/:@]+')
}

/** Whether the ref of the token is one; `version` is an expression. */
function isRef(pattern: string, version: Cel): Cel {
  const parts = pattern.split('{version}')
  if (!pattern.includes('*')) {
    return `variables.ref == ${parts.map((part) => celText(part)).join(` + ${version} + `)}`
  }
  const patterns = parts.map((part, index) => {
    const begins = index === 0 ? '^' : ''
    const ends = index === parts.length - 1 ? '$' : ''
    return celText(`${begins}${glob(part)}${ends}`)
  })
  return `variables.ref.matches(${patterns.join(` + ${version}.replace('.', '[.]') + `)})`
}

function sourceOfPublisher({ source }: Publisher): Cel {
  return source === undefined ? 'variables.ownSource' : celText(foldSource(source))
}

/** Whether the pipeline is of this publisher's repository; an id that no policy names is for the webhook. */
function isOf(publisher: Publisher): { readonly source: Cel; readonly id: Cel } {
  const { ids } = publisher
  return {
    source: `variables.source == ${sourceOfPublisher(publisher)}`,
    id: ids.length === 0 ? 'true' : `variables.repositoryId in ${celList(ids)}`,
  }
}

/** What the sentence about a wrong ref lists; `version` is an expression. */
function refTexts(publishers: readonly Publisher[], version: Cel): Cel {
  const lists = publishers.map((publisher) => {
    const { source, id } = isOf(publisher)
    const texts = refsOf(publisher).map((ref) =>
      `"${ref}"`
        .split('{version}')
        .map((part) => celText(part))
        .join(` + ${version} + `),
    )
    return `(${allOf([source, id])} ? [${texts.join(', ')}] : [])`
  })
  return shortList(`(${lists.join(' + ')})`)
}

function shortList(list: Cel): Cel {
  return `(${list}.size() > 3 ? ${list}.slice(0, 3).join(', ') + ' and ' + string(${list}.size() - 3) + ' more' : ${list}.join(', '))`
}

function publisherNames(kind: ListKind, publishers: readonly Publisher[]): Cel {
  const nowhere = celText(`"a repository that the ${kind} names (it names none)"`)
  const names = publishers.map((publisher) =>
    publisher.source === undefined
      ? `(variables.ownSource == '' ? ${nowhere} : ${quoted('variables.ownSource')})`
      : celText(`"${foldSource(publisher.source)}"`),
  )
  return shortList(`[${names.join(', ')}]`)
}

/** A Provider is of no repository. */
function sourcesOf(kind: ListKind): readonly Variable[] {
  if (kind === 'Provider') return [{ name: 'ownSource', inline: true, expression: "''" }]
  const own = "(request.operation == 'CREATE' ? variables.becomes : variables.was)"
  return [
    { name: 'ownSource', expression: sourceOfSettings(own) },
    { name: 'newSource', expression: sourceOfSettings('variables.becomes') },
  ]
}

export function publisherVariables(kind: ListKind, spec: ModulePolicySpec | undefined): readonly Variable[] {
  const publishers = publishersOf(spec)
  const sources = publishers.map((publisher) => isOf(publisher).source)
  const ids = publishers.map((publisher) => {
    const { source, id } = isOf(publisher)
    return allOf([source, id])
  })
  const right = (version: Cel): Cel =>
    anyOf(
      publishers.map((publisher) => {
        const { source, id } = isOf(publisher)
        return allOf([source, id, anyOf(refsOf(publisher).map((ref) => isRef(ref, version)))])
      }),
    )
  // Where no version is at stake, any ref that publishes one will do.
  const rightForAny = anyOf(
    publishers.map((publisher) => {
      const { source, id } = isOf(publisher)
      const refs = refsOf(publisher).map((ref) => isRef(ref.replaceAll('{version}', '*'), "''"))
      return allOf([source, id, anyOf(refs)])
    }),
  )
  const names = publisherNames(kind, publishers)
  const unlisted =
    spec === undefined
      ? 'publish from the pipeline of the repository, or write a ModulePolicy that lists this identity'
      : 'publish from the pipeline of the repository, or have the ModulePolicy list this identity'
  return [
    ...sourcesOf(kind),
    {
      name: 'mayPublish',
      inline: true,
      expression: `variables.isController || variables.isGitops ||
(variables.isImporter ? request.operation == 'CREATE' :
variables.isListedHuman || (variables.isByCluster && variables.source == ''))`,
    },
    // Of the pipeline itself; empty when only its ref can be wrong.
    {
      name: 'wrongPipeline',
      expression: `variables.source == '' ? ['nothing in its credentials names a repository', ${celText(unlisted)}]
: !variables.isFromToken ? ['what is said of the repository does not come from a token',
'publish with the token of the pipeline, not by impersonation']
: !${anyOf(sources)} ? ['its pipeline is of ' + ${quoted('variables.claimedSource')} + ', this ${kind} is published by ' + ${names},
'run the pipeline of ' + ${names}]
: !${anyOf(ids)} ? ['the repository ' + ${quoted('variables.claimedSource')} + ' has the id ' +
(variables.repositoryId == '' ? '"no id"' : ${quoted('variables.repositoryId')}),
'if the repository was moved on purpose, list its id under publishers in the ModulePolicy']
: []`,
    },
    {
      name: 'unpublishable',
      inline: true,
      expression: `variables.mayPublish ? [] : variables.wrongPipeline.size() > 0 ? variables.added
: variables.added.filter(version, !${right('version')})`,
    },
    {
      name: 'refShown',
      inline: true,
      expression: `variables.ref == '' ? 'no ref' : ${quoted('variables.ref')}`,
    },
    // Of who touches what decides where versions come from.
    {
      name: 'meddler',
      expression: `variables.wrongPipeline.size() > 0 ? variables.wrongPipeline : ${rightForAny} ? []
: ['its pipeline runs for ' + variables.refShown + ', its versions are published from ' + ${refTexts(publishers, "'*'")},
'run the pipeline for the tag of a version']`,
    },
    { name: 'touched', expression: touched(kind, spec) },
  ]
}

/** Without a policy what OpenDepot lets anybody do is not worth more than what WH-V1 and the like tell of it. */
function touched(kind: ListKind, spec: ModulePolicySpec | undefined): Cel {
  const source =
    kind === 'Module'
      ? `(${IS_UPDATED} && variables.ownSource != variables.newSource ? ['the repository of this Module may not be changed'] : [])`
      : '[]'
  if (spec === undefined) return `variables.mayPublish ? [] : ${source}`
  // What is held is refused to everybody, by other rules.
  const free = '!variables.isHeld'
  const deleted = `(variables.published.size() > 0 && ${free} ? ['this ${kind} may not be deleted'] : [])`
  const removed = `(!${free} ? [] : variables.removedAt.map(index, 'version ' +
(${isVersion('variables.oldPlains[index]')} ? variables.oldPlains[index] : ${quoted('variables.oldPlains[index]')}) + ' may not be taken away'))`
  const fields: readonly (readonly [field: string, changes: Cel])[] = [
    ['versionHistoryLimit', `${free} && variables.wasLimit != variables.limit`],
    ['storageConfig', `${free} && variables.wasStored != variables.stored`],
    ...(kind === 'Module'
      ? ([
          ['immutable', 'variables.wasImmutable != variables.isImmutable'],
          ['fileFormat', `${free} && variables.was.fileFormat != variables.becomes.fileFormat`],
          ['provider', `${free} && variables.was.provider != variables.becomes.provider`],
        ] as const)
      : []),
  ]
  const settings = fields.map(
    ([field, changes]) => `(${changes} ? ['${field} of this ${kind} may not be changed'] : [])`,
  )
  return `variables.mayPublish ? [] : ${source} + ${deleted} +
${removed} +
(${IS_UPDATED} ? ${settings.join(' + ')} : [])`
}

export function publisherChecks(spec: ModulePolicySpec | undefined): readonly Check[] {
  const by = `' by ' + ${quoted('request.userInfo.username')} + ': ' + `
  const why = (version: Cel): Cel =>
    `(variables.wrongPipeline.size() > 0 ? variables.wrongPipeline[0] : 'its pipeline runs for ' + variables.refShown + ', this version is published from ' + ${refTexts(publishersOf(spec), version)})`
  return [
    {
      rule: 'WH-P1',
      kind: 'forbidden',
      name: 'p1Touched',
      problems: `variables.touched.size() == 0 || variables.meddler.size() == 0 ? [] : ${told({
        rule: 'WH-P1',
        list: 'variables.touched',
        sentence: (what) => `${what} + ${by} variables.meddler[0]`,
        wayOut: 'variables.meddler[1]',
      })}`,
    },
    {
      rule: 'WH-P1',
      kind: 'forbidden',
      name: 'p1',
      problems: told({
        rule: 'WH-P1',
        list: 'variables.unpublishable',
        sentence: (version) => `'version ' + ${version} + ' may not be published' + ${by} ${why(version)}`,
        wayOut: `variables.wrongPipeline.size() > 0 ? variables.wrongPipeline[1] : 'run the pipeline for the tag of ' + all[0]`,
      }),
    },
  ]
}

const PIN = '(?i:[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64})'

function pinWords(object: Cel): Cel {
  const text = `${object}.metadata.?annotations[?'${PINS_ANNOTATION}'].orValue('')`
  const blanks = [',', '\\n', '\\t', '\\r'].map((blank) => `.replace('${blank}', ' ')`).join('')
  return `${text}${blanks}.split(' ').filter(word, word != '')`
}

/** `1.0.0=<value>`: the plain version, and the value in lower case. */
const pinName = (pin: Cel): Cel => plainOf(`${pin}.split('=')[0]`)
const pinValue = (pin: Cel): Cel => `${pin}.substring(${pin}.indexOf('=') + 1).lowerAscii()`

export function pinVariables(): readonly Variable[] {
  const isPin = `word.matches(${celPattern(`^v?${SEMVER}=${PIN}$`)}) && word.indexOf('=') <= 64`
  return [
    { name: 'pinWords', expression: `request.operation == 'DELETE' ? [] : ${pinWords('object')}` },
    { name: 'oldPinWords', expression: `request.operation == 'CREATE' ? [] : ${pinWords('oldObject')}` },
    { name: 'arePinsKept', inline: true, expression: 'variables.pinWords == variables.oldPinWords' },
    {
      name: 'badPins',
      expression: `variables.pinWords.transformList(index, word, !(${isPin}), index)`,
    },
    {
      name: 'pinNames',
      expression: `variables.badPins.size() > 0 ? [] : variables.pinWords.map(pin, ${pinName('pin')})`,
    },
    { name: 'pinValues', expression: `variables.pinWords.map(pin, ${pinValue('pin')})` },
    {
      name: 'pinnedTwice',
      expression: `variables.arePinsKept || variables.pinNames.size() < 2 ? [] :
variables.pinNames.transformList(index, name, variables.pinNames.indexOf(name) != index, name)`,
    },
    {
      name: 'oldPins',
      inline: true,
      expression: `variables.arePinsKept || variables.oldPinWords.exists(word, !(${isPin})) ? [] : variables.oldPinWords`,
    },
    // What was pinned and is not any more, or to something else; who leaves the list takes its pin along.
    {
      name: 'movedPins',
      inline: true,
      expression: `variables.arePinsKept || variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0 ? [] :
variables.oldPins.filter(pin, !(pin in variables.pinWords) &&
!(${pinName('pin')} in variables.pinNames && variables.pinValues[variables.pinNames.indexOf(${pinName('pin')})] == ${pinValue('pin')}) &&
!variables.removedAt.exists(index, variables.oldPlains[index] == ${pinName('pin')}))`,
    },
    {
      name: 'unpinned',
      inline: true,
      expression: `variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0 ? [] :
variables.added.filter(version, !(version in variables.pinNames))`,
    },
    // The pipeline that publishes knows what it runs for.
    {
      name: 'otherwisePinned',
      inline: true,
      expression: `variables.sha == '' || !variables.isPipeline || variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0 ? [] :
variables.added.filter(version, version in variables.pinNames &&
!variables.pinValues[variables.pinNames.indexOf(version)].startsWith('sha256:') &&
variables.pinValues[variables.pinNames.indexOf(version)] != variables.sha.lowerAscii())`,
    },
  ]
}

export function pinChecks(isRequired: boolean): readonly Check[] {
  const moved = (pin: Cel): Cel =>
    `'version ' + ${pinName(pin)} + ' is pinned to ' + ${pinValue(pin)} + ', and its pin would say something else'`
  const list = 'variables.movedPins'
  const checks: Check[] = [
    {
      rule: 'WH-P2',
      kind: 'invalid',
      name: 'p2Unreadable',
      problems: toldWhere(
        '!variables.arePinsKept && (variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0)',
        'WH-P2',
        `'the pins cannot be read: ' + (variables.badPins.size() > 0
? 'entry ' + string(variables.badPins[0] + 1) + ' is no <version>=<whole commit id> or <version>=sha256:<64 hex digits>'
: variables.pinnedTwice[0] + ' is pinned twice')`,
        celText('write <version>=<commit> for each version, with commas between'),
      ),
    },
    {
      rule: 'WH-P2',
      kind: 'forbidden',
      name: 'p2Moved',
      problems: `!variables.isHeld ? [] : ${told({
        rule: 'WH-P2',
        list,
        sentence: moved,
        short: pinName,
        wayOut: `'write ' + ${pinName('all[0]')} + '=' + ${pinValue('all[0]')} + ' in ${PINS_ANNOTATION}'`,
      })}`,
    },
    {
      rule: 'WH-P2',
      kind: 'notice',
      name: 'p2MovedNotice',
      problems: `variables.isHeld ? [] : ${noted({ rule: 'WH-P2', list, sentence: moved, short: pinName })}`,
    },
    {
      rule: 'WH-P2',
      kind: 'forbidden',
      name: 'p2Other',
      problems: told({
        rule: 'WH-P2',
        list: 'variables.otherwisePinned',
        sentence: (version) =>
          `'version ' + ${version} + ' is pinned to ' + variables.pinValues[variables.pinNames.indexOf(${version})] + ', and the pipeline that publishes it runs for another commit'`,
        wayOut: "'pin the commit that the pipeline runs for'",
      }),
    },
  ]
  if (!isRequired) return checks
  return [
    ...checks,
    {
      rule: 'WH-P2',
      kind: 'forbidden',
      name: 'p2Missing',
      problems: told({
        rule: 'WH-P2',
        list: 'variables.unpinned',
        sentence: (version) => `'version ' + ${version} + ' names no commit, and the policy requires one'`,
        wayOut: `'add ' + all[0] + '=<commit> to ${PINS_ANNOTATION} in the same request'`,
      }),
    },
  ]
}
