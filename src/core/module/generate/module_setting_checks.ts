// The rules about what a Module or a Provider says of itself (WH-M), in CEL and in the words of core/module/rules.
import { MIGRATE_ANNOTATION, UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import { MAX_LABELS, MAX_PLATFORMS } from '#core/module/listing_bounds.ts'
import { celList, celPattern, celText, noted, notedWhere, quoted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { configOf, lacks, mayDo, resourceOf, UNPUBLISH_REASON } from './module_facts.ts'
import type { ListKind } from './module_facts.ts'
import { isVersion } from './version_list.ts'

const IS_CREATED = "request.operation == 'CREATE'"
const IS_UPDATED = "request.operation == 'UPDATE'"

/** Created with it, or changed. */
function isTouched(field: string): Cel {
  return `(${IS_CREATED} || (${IS_UPDATED} && variables.was.${field} != variables.becomes.${field}))`
}

const FIELDS = ['name', 'provider', 'repoOwner', 'repoUrl', 'fileFormat']

/** An address may carry somebody's password. */
function address(map: Cel, field: Cel): Cel {
  const text = `${map}[${field}]`
  const login = `${text}.find(r'//[^/@]*@')`
  return quoted(`${login} == '' ? ${text} : ${text}.replace(${login}, '//')`)
}

/** Which fields differ, and how, as two texts each. */
function repointed(kind: ListKind): Cel {
  const becomes = "' since versions were published, and would become '"
  if (kind === 'Provider') {
    return `['name', 'namespace'].filter(field, variables.was[field] != variables.becomes[field])
.map(field, [field, 'is ' + ${quoted('variables.was[field]')} + ${becomes} + ${quoted('variables.becomes[field]')}]) +
${lost('operatingSystems')} +
${lost('architectures')}`
  }
  // Nothing was ever fetched without a format: OpenDepot's controller crashes there.
  return `${celList(FIELDS)}.filter(field, variables.was[field] != variables.becomes[field] &&
(field != 'fileFormat' || variables.was.fileFormat != ''))
.map(field, [field, 'is ' + ${address('variables.was', 'field')} + ${becomes} + ${address('variables.becomes', 'field')}])`
}

/** Of a Provider: a platform that leaves its list loses its archives. */
function lost(field: 'operatingSystems' | 'architectures'): Cel {
  const gone = `oldObject.spec.providerConfig.?${field}.orValue([]).filter(one, !(one in object.spec.providerConfig.?${field}.orValue([])))`
  return `(${gone}.size() == 0 ? [] : [['${field}', 'would no longer have ' +
${gone}.slice(0, ${gone}.size() < 3 ? ${gone}.size() : 3).map(one, ${quoted('one')}).join(', ') +
(${gone}.size() > 3 ? ' and ' + string(${gone}.size() - 3) + ' more' : '') + ', for which versions were published']])`
}

const settingFacts = (kind: ListKind): readonly Variable[] => [
  {
    name: 'repointed',
    expression: `!(${IS_UPDATED}) || variables.oldEntries.size() == 0 ? [] :\n${repointed(kind)}`,
  },
  {
    name: 'isMoved',
    inline: true,
    expression: `${IS_UPDATED} && variables.oldEntries.size() > 0 && variables.wasStored != variables.stored`,
  },
  {
    name: 'storageText',
    inline: true,
    expression: "variables.stored.size() == 0 ? 'no storage' : variables.stored.join(', ')",
  },
  {
    name: 'wasStorageText',
    inline: true,
    expression: "variables.wasStored.size() == 0 ? 'no storage' : variables.wasStored.join(', ')",
  },
  {
    name: 'migration',
    inline: true,
    expression: `${IS_UPDATED} ? object.metadata.?annotations[?'${MIGRATE_ANNOTATION}'].orValue('').trim() : ''`,
  },
]

const REPOINTED_WAY: Readonly<Record<ListKind, string>> = {
  Module: 'publish from elsewhere under another Module',
  Provider: 'mirror another provider under another Provider',
}

function repointedWay(kind: ListKind): Cel {
  return celText(
    `${REPOINTED_WAY[kind]}; to move this one: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on it`,
  )
}

function movedWay(kind: ListKind): Cel {
  return celText(
    `leave storageConfig as it is; to move the archives: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on this ${kind}`,
  )
}

function repointedSentence(kind: ListKind, difference: Cel): Cel {
  return `'${configOf(kind)}.' + ${difference}[0] + ' ' + ${difference}[1]`
}

const MOVED = `'published archives are in ' + ${quoted('variables.wasStorageText')} + ', and would be looked for in ' + ${quoted('variables.storageText')}`
const MIGRATED = `': migrated (' + ${quoted('variables.migration')} + ')'`

/** Denied, unless somebody breaks the glass; told where nothing is held. */
type Guarded = {
  readonly rule: 'WH-M2' | 'WH-M6'
  readonly name: string
  readonly denied: (when: Cel) => Cel
  readonly noticed: (when: Cel, end: Cel) => Cel
}

/** Of two texts. */
const firstOf = (pair: Cel): Cel => `${pair}[0]`

function guarded(kind: ListKind): readonly Guarded[] {
  const list = 'variables.repointed'
  const sentence = (one: Cel): Cel => repointedSentence(kind, one)
  return [
    {
      rule: 'WH-M2',
      name: 'm2',
      denied: (when) =>
        `!(${when}) ? [] : ${told({ rule: 'WH-M2', list, sentence, short: firstOf, wayOut: repointedWay(kind) })}`,
      noticed: (when, end) =>
        `!(${when}) ? [] : ${noted({ rule: 'WH-M2', list, sentence: (one) => `${sentence(one)} + ${end}`, short: firstOf })}`,
    },
    {
      rule: 'WH-M6',
      name: 'm6',
      denied: (when) => toldWhere(`variables.isMoved && ${when}`, 'WH-M6', MOVED, movedWay(kind)),
      noticed: (when, end) => notedWhere(`variables.isMoved && ${when}`, 'WH-M6', `${MOVED} + ${end}`),
    },
  ]
}

function guardedChecks({ rule, name, denied, noticed }: Guarded): readonly Check[] {
  const isHeld = 'variables.isHeld'
  return [
    {
      rule,
      kind: 'forbidden',
      name,
      problems: denied(`(${isHeld} && !variables.isMigrating)`),
    },
    {
      rule,
      kind: 'forbidden',
      name: `${name}Glass`,
      problems: denied(`(${isHeld} && variables.isMigrating)`),
      unless: mayDo('migrate'),
    },
    {
      rule,
      kind: 'notice',
      name: `${name}Broken`,
      problems: noticed(`(${isHeld} && variables.isMigrating)`, MIGRATED),
      onlyIf: mayDo('migrate'),
    },
    { rule, kind: 'notice', name: `${name}Notice`, problems: noticed(`!${isHeld}`, "''") },
  ]
}

/** `immutable: true` is there from the start where the policy requires it. */
function immutableChecks(isRequired: boolean): readonly Check[] {
  const isMissing = `${IS_CREATED} && !variables.isImmutable`
  return [
    {
      rule: 'WH-M4',
      kind: 'forbidden',
      name: 'm4TakenBack',
      problems: toldWhere(
        `${IS_UPDATED} && variables.wasImmutable && !variables.isImmutable`,
        'WH-M4',
        "'this Module is immutable and would stop being so'",
        "'leave immutable: true'",
      ),
    },
    isRequired
      ? {
          rule: 'WH-M4',
          kind: 'invalid',
          name: 'm4Missing',
          problems: toldWhere(
            isMissing,
            'WH-M4',
            "'the policy requires immutable Modules, and this one does not say so'",
            "'write immutable: true'",
          ),
        }
      : {
          rule: 'WH-M4',
          kind: 'notice',
          name: 'm4Notice',
          problems: notedWhere(
            isMissing,
            'WH-M4',
            "'this Module does not say immutable: true, so its published versions can be replaced'",
          ),
        },
  ]
}

const STORAGE_FIELDS: readonly (readonly [place: string, fields: readonly string[]])[] = [
  ['s3', ['bucket', 'key', 'region']],
  ['azureStorage', ['accountName', 'accountUrl', 'resourceGroup', 'subscriptionID']],
  ['gcs', ['bucket']],
  ['fileSystem', ['directoryPath']],
]

function shapeChecks(kind: ListKind): readonly Check[] {
  const storage = `object.spec.${configOf(kind)}.?storageConfig`
  const isNew = `request.operation != 'DELETE' && ${storage}.hasValue() && (${IS_CREATED} ||
!oldObject.spec.${configOf(kind)}.?storageConfig.hasValue() || variables.wasStored != variables.stored)`
  const places = STORAGE_FIELDS.map(
    ([place]) => `(${storage}.?${place}.hasValue() ? ['${place}'] : [])`,
  ).join(' + ')
  const ascending = STORAGE_FIELDS.flatMap(([place, fields]) =>
    fields.map((field) => {
      const text = `${storage}.?${place}.?${field}.orValue('')`
      const goesUp = `${text}.matches(${celPattern('(?s)(^|[/\\\\])\\.\\.($|[/\\\\])')})`
      return `(${goesUp} ? [['the storage path in ${place} goes up with ..', 'write ${field} without ..']] : [])`
    }),
  )
  return [
    {
      rule: 'WH-M7',
      kind: 'invalid',
      name: 'm7Places',
      problems: toldWhere(
        `${isNew} && variables.stored.size() > 1`,
        'WH-M7',
        `'storageConfig names ' + string(variables.stored.size()) + ' places: ' + (${places}).join(', ')`,
        "'keep the one that archives are in'",
      ),
    },
    {
      rule: 'WH-M7',
      kind: 'invalid',
      name: 'm7Directory',
      problems: toldWhere(
        `${isNew} && ${storage}.?fileSystem.hasValue() && ${storage}.?fileSystem.?directoryPath.orValue('') == ''`,
        'WH-M7',
        "'fileSystem has no directoryPath'",
        "'name the directory of the volume'",
      ),
    },
    {
      rule: 'WH-M7',
      kind: 'invalid',
      name: 'm7Ascending',
      problems: `!(${isNew}) ? [] : (${ascending.join(' +\n')}).map(problem, 'WH-M7: ' + problem[0] + '. Instead: ' + problem[1])`,
    },
  ]
}

function credentialChecks(kind: ListKind): readonly Check[] {
  const authenticated = (object: Cel): Cel =>
    `${object}.spec.${configOf(kind)}.?githubClientConfig.?useAuthenticatedClient.orValue(false)`
  const presign = (object: Cel): Cel => `${object}.spec.${configOf(kind)}.?storageConfig.?presign`
  return [
    {
      rule: 'WH-M8',
      kind: 'notice',
      name: 'm8Client',
      problems: notedWhere(
        `${IS_UPDATED} && ${authenticated('oldObject')} != ${authenticated('object')}`,
        'WH-M8',
        `'useAuthenticatedClient becomes ' + string(${authenticated('object')})`,
      ),
    },
    {
      rule: 'WH-M8',
      kind: 'notice',
      name: 'm8Presign',
      problems: notedWhere(
        `${IS_UPDATED} && ${presign('oldObject')} != ${presign('object')}`,
        'WH-M8',
        "'how archives are handed out changes (presign)'",
      ),
    },
  ]
}

/** `system:serviceaccount:kube-system:namespace-controller`, while the Namespace goes. */
const DELETION: readonly Variable[] = [
  {
    name: 'isNamespaceGoing',
    inline: true,
    expression: `request.userInfo.username == 'system:serviceaccount:kube-system:namespace-controller' &&
namespaceObject.metadata.?deletionTimestamp.hasValue()`,
  },
  {
    name: 'published',
    expression: `request.operation != 'DELETE' || oldObject.metadata.?deletionTimestamp.hasValue() || variables.isNamespaceGoing
? [] : variables.oldPlains.filter(plain, ${isVersion('plain')}).distinct()`,
  },
]

const PUBLISHED = (kind: ListKind): Cel => `'this ${kind} published ' +
variables.published.slice(0, variables.published.size() < 5 ? variables.published.size() : 5).join(', ') +
(variables.published.size() > 5 ? ' and ' + string(variables.published.size() - 5) + ' more' : '') + ' and would be deleted'`

function deletionChecks(kind: ListKind): readonly Check[] {
  const keep = `leave the ${kind} where it is; in Argo CD set prune: false`
  const target = resourceOf(kind).slice(0, -1)
  const way = `${celText(`${keep}; to unpublish all of it: kubectl annotate ${target} `)} + oldObject.metadata.name + ' -n ' + request.namespace + ${celText(` '${UNPUBLISH_ANNOTATION}=*: <reason>' and the verb unpublish on this ${kind}`)}`
  const isNamed = "'*' in variables.unpublishNames"
  const by = { m12: '!variables.isByCluster', m14: 'variables.isByCluster' }
  const of = (rule: 'WH-M12' | 'WH-M14', name: 'm12' | 'm14'): readonly Check[] => {
    const isGone = `variables.published.size() > 0 && ${by[name]}`
    const isHeld = 'variables.isHeld'
    return [
      {
        rule,
        kind: 'forbidden',
        name,
        problems: toldWhere(`${isGone} && ${isHeld} && !(${isNamed})`, rule, PUBLISHED(kind), way),
      },
      {
        rule,
        kind: 'forbidden',
        name: `${name}Glass`,
        problems: toldWhere(
          `${isGone} && ${isHeld} && ${isNamed}`,
          rule,
          PUBLISHED(kind),
          `${lacks('unpublish')} + ${way}`,
        ),
        unless: mayDo('unpublish'),
      },
      {
        rule,
        kind: 'notice',
        name: `${name}Broken`,
        problems: notedWhere(
          `${isGone} && ${isHeld} && ${isNamed}`,
          rule,
          `${PUBLISHED(kind)} + ': unpublished (' + ${UNPUBLISH_REASON} + ')'`,
        ),
        onlyIf: mayDo('unpublish'),
      },
      {
        rule,
        kind: 'notice',
        name: `${name}Notice`,
        problems: notedWhere(`${isGone} && !${isHeld}`, rule, PUBLISHED(kind)),
      },
    ]
  }
  return [...of('WH-M12', 'm12'), ...of('WH-M14', 'm14')]
}

function nameCheck(kind: ListKind): Check {
  const isOther = `request.operation != 'DELETE' && variables.becomes.configured != '' &&
object.metadata.?name.orValue('') != '' && variables.becomes.configured != object.metadata.name && ${isTouched('configured')}`
  return {
    rule: 'WH-M1',
    kind: 'invalid',
    name: 'm1',
    problems: toldWhere(
      isOther,
      'WH-M1',
      `'${configOf(kind)}.name is ' + ${quoted('variables.becomes.configured')} + ', the ${kind} is "' + object.metadata.name + '"'`,
      `'write name: "' + object.metadata.name + '", or leave it out'`,
    ),
  }
}

function formatCheck(): Check {
  const format = 'variables.becomes.fileFormat'
  return {
    rule: 'WH-M5',
    kind: 'invalid',
    name: 'm5',
    problems: toldWhere(
      `request.operation != 'DELETE' && !(${format} in ['zip', 'tar']) && ${isTouched('fileFormat')}`,
      'WH-M5',
      `(${format} == '' ? 'moduleConfig.fileFormat is missing' : 'moduleConfig.fileFormat is ' + ${quoted(format)})`,
      "'write fileFormat: zip or fileFormat: tar'",
    ),
  }
}

function platforms(object: Cel): Cel {
  const sizes = ['operatingSystems', 'architectures'].map(
    (field) => `${object}.spec.providerConfig.?${field}.orValue([]).size()`,
  )
  return sizes.join(' * ')
}

/** As in v11_too_many.ts: each version has a Version object for each. */
function platformCheck(): Check {
  const [count, was] = [platforms('object'), platforms('oldObject')]
  return {
    rule: 'WH-V11',
    kind: 'invalid',
    name: 'v11Platforms',
    problems: toldWhere(
      `request.operation != 'DELETE' && ${count} > ${MAX_PLATFORMS} &&
(${IS_CREATED} || ${count} > ${was})`,
      'WH-V11',
      `'operatingSystems and architectures would make ' + string(${count}) + ' platforms, the most is ${MAX_PLATFORMS}'`,
      celText('list the platforms that somebody runs on'),
    ),
  }
}

/** Where the one is empty nothing is multiplied. */
function platformListCheck(entry: 'operatingSystem' | 'architecture'): Check {
  const size = (object: Cel): Cel => `${object}.spec.providerConfig.?${entry}s.orValue([]).size()`
  const [count, was] = [size('object'), size('oldObject')]
  const [platformCount, platformsBefore] = [platforms('object'), platforms('oldObject')]
  return {
    rule: 'WH-V11',
    kind: 'invalid',
    name: entry === 'operatingSystem' ? 'v11Systems' : 'v11Architectures',
    problems: toldWhere(
      `request.operation != 'DELETE' && ${count} > ${MAX_PLATFORMS} &&
(${IS_CREATED} ? ${platformCount} <= ${MAX_PLATFORMS}
: ${count} > ${was} && (${platformCount} <= ${MAX_PLATFORMS} || ${platformCount} <= ${platformsBefore}))`,
      'WH-V11',
      `'${entry}s would have ' + string(${count}) + ' entries, the most is ${MAX_PLATFORMS}'`,
      celText('list the platforms that somebody runs on'),
    ),
  }
}

/** As in v11_too_many.ts: kube-apiserver bounds each label, and not how many there are. */
function labelCountCheck(): Check {
  const [count, was] = [labelCount('object'), labelCount('oldObject')]
  return {
    rule: 'WH-V11',
    kind: 'invalid',
    name: 'v11Labels',
    problems: toldWhere(
      `request.operation != 'DELETE' && ${count} > ${MAX_LABELS} &&
(${IS_CREATED} || ${count} > ${was})`,
      'WH-V11',
      `'metadata.labels would have ' + string(${count}) + ' entries, the most is ${MAX_LABELS}'`,
      celText('write what nobody selects by as annotations'),
    ),
  }
}

function labelCount(object: Cel): Cel {
  return `${object}.metadata.?labels.orValue({}).size()`
}

export function settingVariables(kind: ListKind): readonly Variable[] {
  return [...settingFacts(kind), ...DELETION]
}

export function settingChecks(kind: ListKind, isRequired: boolean): readonly Check[] {
  const ofModules = kind === 'Module' ? [...immutableChecks(isRequired), formatCheck()] : []
  return [
    ...deletionChecks(kind),
    nameCheck(kind),
    ...guarded(kind).flatMap(guardedChecks),
    ...ofModules,
    ...shapeChecks(kind),
    ...credentialChecks(kind),
    labelCountCheck(),
    ...(kind === 'Provider'
      ? [platformCheck(), platformListCheck('operatingSystem'), platformListCheck('architecture')]
      : []),
  ]
}
