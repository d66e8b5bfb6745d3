// The rules about what a Module says of itself (WH-M), in CEL and in the words of core/module/rules.
import { MIGRATE_ANNOTATION, UNPUBLISH_ANNOTATION } from '#core/module/break_glass.ts'
import { celList, celText, noted, notedWhere, quoted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { mayDo } from './module_facts.ts'
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
  return quoted(`${text}.replace(${text}.find(r'//[^/@]*@'), ${text}.find(r'//[^/@]*@') == '' ? '' : '//')`)
}

export const SETTING_VARIABLES: readonly Variable[] = [
  {
    name: 'repointed',
    // Nothing was ever fetched without a format: OpenDepot's controller crashes there.
    expression: `!(${IS_UPDATED}) || variables.oldEntries.size() == 0 ? [] :
${celList(FIELDS)}.filter(field, variables.was[field] != variables.becomes[field] &&
(field != 'fileFormat' || variables.was.fileFormat != ''))`,
  },
  {
    name: 'isMoved',
    expression: `${IS_UPDATED} && variables.oldEntries.size() > 0 && variables.wasStored != variables.stored`,
  },
  {
    name: 'storageText',
    expression: "variables.stored.size() == 0 ? 'no storage' : variables.stored.join(', ')",
  },
  {
    name: 'wasStorageText',
    expression: "variables.wasStored.size() == 0 ? 'no storage' : variables.wasStored.join(', ')",
  },
  {
    name: 'migration',
    expression: `${IS_UPDATED} ? object.metadata.?annotations[?'${MIGRATE_ANNOTATION}'].orValue('').trim() : ''`,
  },
]

const REPOINTED_WAY = celText(
  `publish from elsewhere under another Module; to move this one: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on it`,
)
const MOVED_WAY = celText(
  `leave storageConfig as it is; to move the archives: annotation ${MIGRATE_ANNOTATION}="<reason>" in the same request, and the verb migrate on this Module`,
)

function repointedSentence(field: Cel): Cel {
  return `'moduleConfig.' + ${field} + ' is ' + ${address('variables.was', field)} + ' since versions were published, and would become ' + ${address('variables.becomes', field)}`
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

const GUARDED: readonly Guarded[] = [
  {
    rule: 'WH-M2',
    name: 'm2',
    denied: (when) =>
      `!(${when}) ? [] : ${told({ rule: 'WH-M2', list: 'variables.repointed', sentence: repointedSentence, wayOut: REPOINTED_WAY })}`,
    noticed: (when, end) =>
      `!(${when}) ? [] : ${noted({ rule: 'WH-M2', list: 'variables.repointed', sentence: (field) => `${repointedSentence(field)} + ${end}` })}`,
  },
  {
    rule: 'WH-M6',
    name: 'm6',
    denied: (when) => toldWhere(`variables.isMoved && ${when}`, 'WH-M6', MOVED, MOVED_WAY),
    noticed: (when, end) => notedWhere(`variables.isMoved && ${when}`, 'WH-M6', `${MOVED} + ${end}`),
  },
]

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

function shapeChecks(): readonly Check[] {
  const storage = 'object.spec.moduleConfig.?storageConfig'
  const kinds = ['s3', 'azureStorage', 'gcs', 'fileSystem']
  const isNew = `request.operation != 'DELETE' && ${storage}.hasValue() && (${IS_CREATED} ||
!oldObject.spec.moduleConfig.?storageConfig.hasValue() || variables.wasStored != variables.stored)`
  const places = kinds.map((kind) => `(${storage}.?${kind}.hasValue() ? ['${kind}'] : [])`).join(' + ')
  const paths: readonly (readonly [kind: string, fields: readonly string[]])[] = [
    ['s3', ['bucket', 'key', 'region']],
    ['azureStorage', ['accountName', 'accountUrl', 'resourceGroup', 'subscriptionID']],
    ['gcs', ['bucket']],
    ['fileSystem', ['directoryPath']],
  ]
  const ascending = paths.flatMap(([kind, fields]) =>
    fields.map((field) => {
      const goesUp = `${storage}.?${kind}.?${field}.orValue('').matches(r'(?s)(^|[/\\\\])\\.\\.($|[/\\\\])')`
      return `(${goesUp} ? ['the storage path in ${kind} goes up with ..'] : [])`
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
      problems: `!(${isNew}) ? [] : (${ascending.join(' +\n')}).map(problem, 'WH-M7: ' + problem + '. Instead: write the path without ..')`,
    },
  ]
}

const authenticated = (object: Cel): Cel =>
  `${object}.spec.moduleConfig.?githubClientConfig.?useAuthenticatedClient.orValue(false)`
const presign = (object: Cel): Cel => `${object}.spec.moduleConfig.?storageConfig.?presign`

function credentialChecks(): readonly Check[] {
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
    name: 'isByCluster',
    expression: `request.userInfo.username in
['system:serviceaccount:kube-system:generic-garbage-collector', 'system:serviceaccount:kube-system:namespace-controller']`,
  },
  {
    name: 'isNamespaceGoing',
    expression: `request.userInfo.username == 'system:serviceaccount:kube-system:namespace-controller' &&
namespaceObject.metadata.?deletionTimestamp.hasValue()`,
  },
  {
    name: 'published',
    expression: `request.operation != 'DELETE' || oldObject.metadata.?deletionTimestamp.hasValue() || variables.isNamespaceGoing
? [] : variables.oldPlains.filter(plain, ${isVersion('plain')}).distinct()`,
  },
]

const PUBLISHED = `'this Module published ' +
variables.published.slice(0, variables.published.size() < 5 ? variables.published.size() : 5).join(', ') +
(variables.published.size() > 5 ? ' and ' + string(variables.published.size() - 5) + ' more' : '') + ' and would be deleted'`

const KEEP = 'leave the Module where it is; in Argo CD set prune: false'

function deletionChecks(): readonly Check[] {
  const way = `${celText(`${KEEP}; to unpublish all of it: kubectl annotate module `)} + oldObject.metadata.name + ' -n ' + request.namespace + ${celText(` '${UNPUBLISH_ANNOTATION}=*: <reason>' and the verb unpublish on this Module`)}`
  const some = 'variables.published.size() > 0'
  const named = "'*' in variables.unpublishNames"
  const by = { m12: '!variables.isByCluster', m14: 'variables.isByCluster' }
  const of = (rule: 'WH-M12' | 'WH-M14', name: 'm12' | 'm14'): readonly Check[] => [
    {
      rule,
      kind: 'forbidden',
      name,
      problems: toldWhere(`${some} && ${by[name]} && variables.isHeld && !(${named})`, rule, PUBLISHED, way),
    },
    {
      rule,
      kind: 'forbidden',
      name: `${name}Glass`,
      problems: toldWhere(`${some} && ${by[name]} && variables.isHeld && ${named}`, rule, PUBLISHED, way),
      unless: mayDo('unpublish'),
    },
    {
      rule,
      kind: 'notice',
      name: `${name}Notice`,
      problems: notedWhere(`${some} && ${by[name]} && (!variables.isHeld || ${named})`, rule, PUBLISHED),
    },
  ]
  return [...of('WH-M12', 'm12'), ...of('WH-M14', 'm14')]
}

function nameChecks(): readonly Check[] {
  const isOther = `request.operation != 'DELETE' && variables.becomes.configured != '' &&
object.metadata.?name.orValue('') != '' && variables.becomes.configured != object.metadata.name && ${isTouched('configured')}`
  const format = 'variables.becomes.fileFormat'
  return [
    {
      rule: 'WH-M1',
      kind: 'invalid',
      name: 'm1',
      problems: toldWhere(
        isOther,
        'WH-M1',
        `'moduleConfig.name is ' + ${quoted('variables.becomes.configured')} + ', the Module is "' + object.metadata.name + '"'`,
        `'write name: "' + object.metadata.name + '", or leave it out'`,
      ),
    },
    {
      rule: 'WH-M5',
      kind: 'invalid',
      name: 'm5',
      problems: toldWhere(
        `request.operation != 'DELETE' && !(${format} in ['zip', 'tar']) && ${isTouched('fileFormat')}`,
        'WH-M5',
        `(${format} == '' ? 'moduleConfig.fileFormat is missing' : 'moduleConfig.fileFormat is ' + ${quoted(format)})`,
        "'write fileFormat: zip or fileFormat: tar'",
      ),
    },
  ]
}

/** A label does not take a Module away from the policy that covers it. */
function deselectionChecks(labels: ReadonlyMap<string, string>): readonly Check[] {
  if (labels.size === 0) return []
  const kept = [...labels].map(
    ([key, value]) =>
      `object.metadata.?labels[?${celText(key)}].orValue('') == ${celText(value)} && ${celText(key)} in object.metadata.?labels.orValue({})`,
  )
  const shown = [...labels].slice(0, 3).map(([key, value]) => `"${key}=${value}"`)
  const more = labels.size > 3 ? ` and ${labels.size - 3} more` : ''
  return [
    {
      rule: 'WH-M15',
      kind: 'forbidden',
      name: 'm15',
      problems: toldWhere(
        `${IS_UPDATED} && !(${kept.join(' && ')})`,
        'WH-M15',
        celText(`the label ${shown.join(', ')}${more} goes, and with it the policy that covers this Module`),
        "'keep the label'",
      ),
    },
  ]
}

export function settingVariables(): readonly Variable[] {
  return [...SETTING_VARIABLES, ...DELETION]
}

export function settingChecks(isRequired: boolean, labels: ReadonlyMap<string, string>): readonly Check[] {
  return [
    ...deletionChecks(),
    ...nameChecks(),
    ...GUARDED.flatMap(guardedChecks),
    ...immutableChecks(isRequired),
    ...shapeChecks(),
    ...credentialChecks(),
    ...deselectionChecks(labels),
  ]
}
