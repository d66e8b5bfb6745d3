// Who publishes (WH-P1), in CEL. The id of the first publisher is in the ledger, so it is for the webhook to compare; an id that a policy
// names is compared here.
import { NAMESPACE_CONTROLLER } from '#core/module/actor.ts'
import { foldSource } from '#core/module/source_of.ts'
import type { ModulePolicySpec, Publisher } from '#core/module/module_policy.ts'
import type { RuleId } from '#core/module/rule_id.ts'
import { modeOf } from '#core/module/rule_mode.ts'
import { GUARDS } from '#core/module/rules/p1_publisher.ts'
import { allOf, anyOf, celList, celPattern, celText, quoted, told } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { configOf, mayDo } from './module_facts.ts'
import type { ListKind } from './module_facts.ts'
import { isVersion } from './version_list.ts'

const IS_UPDATED = "request.operation == 'UPDATE'"

/** What a URL keeps as it is in a path, but for dots that go up; anything else names no repository here. */
const SEGMENT = '[A-Za-z0-9._~!$&()*+,;=:@%|-]+'
const LOGIN = '(?:[a-z0-9._~!$&()*+,;=:-]|%[0-9a-f]{2})*@'
const LABEL = '(?:[a-z0-9_-]*[a-z0-9_])?'
const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
/** What ends in a label that begins with a digit is an address of four numbers, or none here. */
const NAME = `(?:(?:[a-z0-9_]${LABEL}[.])*[a-z_]${LABEL}|${OCTET}(?:[.]${OCTET}){3})`
const ADDRESS = `^(?:https?|ssh|git)://(?:${LOGIN})?${NAME}(?::[1-9][0-9]{0,4})?/+${SEGMENT}(?:/${SEGMENT})+/*$`
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
variables.isListedHuman || (request.userInfo.username == ${celText(NAMESPACE_CONTROLLER)} && variables.source == ''))`,
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
    ...touchedVariables(kind, spec),
  ]
}

function unlessTrusted(touched: Cel): Cel {
  return `variables.mayPublish ? [] : ${touched}`
}

/** Without a policy what OpenDepot lets anybody do is not worth more than what WH-V1 and the like tell of it. */
function touchedVariables(kind: ListKind, spec: ModulePolicySpec | undefined): readonly Variable[] {
  const source =
    kind === 'Module'
      ? `(${IS_UPDATED} && variables.ownSource != variables.newSource ? ['the repository of this Module may not be changed'] : [])`
      : '[]'
  if (spec === undefined) return [{ name: 'touched', expression: unlessTrusted(source) }]
  return [
    {
      name: 'touched',
      expression: unlessTrusted(`${source} + ${taken(kind, spec, (isNamed) => `!(${isNamed})`)} +
(${IS_UPDATED} ? ${settingsTaken(kind, spec)} : [])`),
    },
    // Whoever breaks the glass for them may take them.
    {
      name: 'touchedByName',
      expression: unlessTrusted(taken(kind, spec, (isNamed) => isNamed)),
    },
  ]
}

/** Versions that go. What is held is refused to everybody, by other rules, as long as the policy has them refuse anything. */
function taken(kind: ListKind, spec: ModulePolicySpec, isMeant: (isNamed: Cel) => Cel): Cel {
  const areAllNamed = `'*' in variables.unpublishNames || variables.published.all(plain, plain in variables.unpublishNames)`
  const isNamed = 'variables.oldPlains[index] in variables.unpublishNames'
  const deleted = `(variables.published.size() > 0 && (${isMeant(areAllNamed)}) ? ['this ${kind} may not be deleted'] : [])`
  const removed = `variables.removedAt.filter(index, ${isMeant(isNamed)}).map(index, 'version ' +
(${isVersion('variables.oldPlains[index]')} ? variables.oldPlains[index] : ${quoted('variables.oldPlains[index]')}) + ' may not be taken away')`
  const areDeletedHeld = doAllRefuse(spec, ['WH-M12'])
  const areRemovedHeld = doAllRefuse(spec, ['WH-V1', 'WH-V3'])
  if (areDeletedHeld && areRemovedHeld)
    return `(variables.isHeld ? [] :
${deleted} +
${removed})`
  return [
    areDeletedHeld ? `(variables.isHeld ? [] : ${deleted})` : deleted,
    areRemovedHeld ? `(variables.isHeld ? [] : ${removed})` : removed,
  ].join(' +\n')
}

function doAllRefuse(spec: ModulePolicySpec, rules: readonly RuleId[]): boolean {
  return rules.every((rule) => modeOf(rule, spec) === 'enforce')
}

/** On what is held other rules refuse most of them to everybody, as soon as anything was published. */
function settingsTaken(kind: ListKind, spec: ModulePolicySpec): Cel {
  const config = `spec.${configOf(kind)}`
  const differs = (field: string, absent: string): Cel =>
    `oldObject.${config}.?${field}.orValue(${absent}) != object.${config}.?${field}.orValue(${absent})`
  const free = (field: string): Cel => {
    const rule = GUARDS.get(field)
    const isHeld = rule !== undefined && doAllRefuse(spec, [rule])
    return isHeld ? '!(variables.isHeld && variables.oldEntries.size() > 0) && ' : ''
  }
  const text = (field: string): Cel => `${free(field)}variables.was.${field} != variables.becomes.${field}`
  const ofKind: readonly (readonly [field: string, changes: Cel])[] =
    kind === 'Module'
      ? [
          ['immutable', 'variables.wasImmutable != variables.isImmutable'],
          ['fileFormat', text('fileFormat')],
          ['provider', text('provider')],
          // OpenDepot fetches from this owner, whatever the address says.
          ['repoOwner', `${text('repoOwner')} && variables.ownSource == variables.newSource`],
        ]
      : [
          ['namespace', `${free('namespace')}${differs('namespace', "''")}`],
          ['operatingSystems', differs('operatingSystems', '[]')],
          ['architectures', differs('architectures', '[]')],
        ]
  const fields: readonly (readonly [field: string, changes: Cel])[] = [
    [
      'versionHistoryLimit',
      `${free('versionHistoryLimit')}oldObject.${config}.?versionHistoryLimit != object.${config}.?versionHistoryLimit`,
    ],
    ['storageConfig', `${free('storageConfig')}variables.wasStored != variables.stored`],
    ...ofKind,
  ]
  const settings = fields.map(
    ([field, changes]) => `(${changes} ? ['${field} of this ${kind} may not be changed'] : [])`,
  )
  const pins = `(variables.changedPins.exists(pin, pin.split('=')[0] in variables.oldPlains)
? ['the pins of this ${kind} may not be changed'] : [])`
  return [...settings, pins].join(' +\n')
}

export function publisherChecks(spec: ModulePolicySpec | undefined): readonly Check[] {
  const by = `' by ' + ${quoted('request.userInfo.username')} + ': ' + `
  const why = (version: Cel): Cel =>
    `(variables.wrongPipeline.size() > 0 ? variables.wrongPipeline[0] : 'its pipeline runs for ' + variables.refShown + ', this version is published from ' + ${refTexts(publishersOf(spec), version)})`
  const meddled = (list: Cel): Cel =>
    `${list}.size() == 0 || variables.meddler.size() == 0 ? [] : ${told({
      rule: 'WH-P1',
      list,
      sentence: (what) => `${what} + ${by} variables.meddler[0]`,
      wayOut: 'variables.meddler[1]',
    })}`
  const byName: Check = {
    rule: 'WH-P1',
    kind: 'forbidden',
    name: 'p1Glass',
    problems: meddled('variables.touchedByName'),
    unless: mayDo('unpublish'),
  }
  return [
    { rule: 'WH-P1', kind: 'forbidden', name: 'p1Touched', problems: meddled('variables.touched') },
    ...(spec === undefined ? [] : [byName]),
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
