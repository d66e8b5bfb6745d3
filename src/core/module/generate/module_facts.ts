// What the rules about a Module or a Provider ask first, in CEL: its settings before and after, whether its versions are held, and what breaks
// the glass.
import { celPattern, quoted } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import { plainOf } from './version_list.ts'

/** Kinds that list versions. */
export type ListKind = 'Module' | 'Provider'

export function resourceOf(kind: ListKind): 'modules' | 'providers' {
  return kind === 'Module' ? 'modules' : 'providers'
}

export function configOf(kind: ListKind): 'moduleConfig' | 'providerConfig' {
  return kind === 'Module' ? 'moduleConfig' : 'providerConfig'
}

/** The verb on this Module, or this Provider, for whoever asks. */
export function mayDo(verb: 'unpublish' | 'migrate'): Cel {
  return `authorizer.group(request.resource.group).resource(request.resource.resource)
.namespace(request.namespace).name(oldObject.metadata.name).check('${verb}').allowed()`
}

/** The half of the glass that is whole: what begins the way out where the annotation is there. */
export function lacks(verb: 'unpublish'): Cel {
  return `'the annotation is there, and ' + ${quoted('request.userInfo.username')} + ' lacks the verb ${verb}; '`
}

const TEXTS: Readonly<Record<ListKind, readonly string[]>> = {
  Module: ['provider', 'repoOwner', 'repoUrl', 'fileFormat'],
  Provider: [],
}

function settings(kind: ListKind, object: Cel): Cel {
  const config = `${object}.spec.${configOf(kind)}`
  const name = `${config}.?name.orValue('')`
  const texts = TEXTS[kind].map((field) => `'${field}': ${config}.?${field}.orValue('')`)
  const namespace =
    kind === 'Module'
      ? []
      : [`'namespace': ${config}.?namespace.orValue('') == '' ? 'hashicorp' : ${config}.namespace`]
  return `{${[
    `'configured': ${name}`,
    `'name': ${name} == '' ? ${object}.metadata.?name.orValue('') : ${name}`,
    ...texts,
    ...namespace,
  ].join(', ')}}`
}

/** One that has the marks between fields is quoted, or it could say what two fields say. */
const FIELD_TEXT = `(value.matches(${celPattern('[\\s=,"]')}) ? strings.quote(value) : value)`

/** `s3 bucket=a key=b region=c`, as in m6_storage_moved.ts. */
export function storageTextOf(storage: Cel): Cel {
  const kinds: readonly (readonly [kind: string, fields: readonly string[]])[] = [
    ['s3', ['bucket', 'key', 'region']],
    ['azureStorage', ['accountName', 'accountUrl', 'resourceGroup', 'subscriptionID']],
    ['gcs', ['bucket']],
    ['fileSystem', ['directoryPath']],
  ]
  const texts = kinds.map(([kind, fields]) => {
    const parts = fields.map(
      (field) => `[?${storage}.?${kind}.?${field}].map(value, ' ${field}=' + ${FIELD_TEXT})`,
    )
    return `(${storage}.?${kind}.hasValue() ? ['${kind}' + (${parts.join(' + ')}).join('')] : [])`
  })
  return `(${texts.join(' + ')})`
}

const IS_CREATED = "request.operation == 'CREATE'"
const IS_DELETED = "request.operation == 'DELETE'"

const before = (absent: Cel, value: Cel): Cel => `${IS_CREATED} ? ${absent} : ${value}`
const after = (absent: Cel, value: Cel): Cel => `${IS_DELETED} ? ${absent} : ${value}`

/** @param isRequired whether the policy says that nothing published changes, whatever the Module says */
export function listFacts(kind: ListKind, isRequired: boolean): readonly Variable[] {
  const config = configOf(kind)
  const limit = (object: Cel): Cel => `${object}.spec.${config}.?versionHistoryLimit.orValue(0)`
  const storage = (object: Cel): Cel => storageTextOf(`${object}.spec.${config}.?storageConfig`)
  return [
    { name: 'was', expression: before('{}', settings(kind, 'oldObject')) },
    { name: 'becomes', expression: after('{}', settings(kind, 'object')) },
    ...heldFacts(kind, isRequired),
    { name: 'wasLimit', inline: true, expression: before('0', limit('oldObject')) },
    { name: 'limit', inline: true, expression: after('0', limit('object')) },
    { name: 'wasStored', expression: before('[]', storage('oldObject')) },
    { name: 'stored', expression: after('[]', storage('object')) },
    ...GLASS,
  ]
}

/** A Provider has no field that says so; a policy does. */
function heldFacts(kind: ListKind, isRequired: boolean): readonly Variable[] {
  const says = (object: Cel): Cel =>
    kind === 'Module' ? `${object}.spec.moduleConfig.?immutable.orValue(false)` : 'false'
  return [
    { name: 'wasImmutable', inline: true, expression: `!(${IS_CREATED}) && ${says('oldObject')}` },
    { name: 'isImmutable', inline: true, expression: `!(${IS_DELETED}) && ${says('object')}` },
    {
      name: 'isHeld',
      inline: true,
      expression: isRequired ? 'true' : 'variables.wasImmutable || variables.isImmutable',
    },
    // When it was held already, a limit that was there is nothing new.
    { name: 'wasHeld', inline: true, expression: isRequired ? 'true' : 'variables.wasImmutable' },
  ]
}

/** Why, in quotes. */
export const UNPUBLISH_REASON = quoted(
  "variables.unpublishAsked.substring(variables.unpublishAsked.indexOf(':') + 1).trim()",
)

const ANNOTATION = (object: Cel, name: string): Cel =>
  `${object}.metadata.?annotations[?'${name}'].orValue('')`

/** As in break_glass.ts. */
const GLASS: readonly Variable[] = [
  {
    name: 'unpublishAsked',
    inline: true,
    expression: ANNOTATION("(request.operation == 'DELETE' ? oldObject : object)", 'sallyport.dev/unpublish'),
  },
  {
    name: 'unpublishNames',
    expression: `variables.unpublishAsked.matches(${celPattern('(?s)^[^:]+:.*\\S')})
? variables.unpublishAsked.split(':')[0].split(',').map(name, name.trim()).map(name, ${plainOf('name')}) : []`,
  },
  {
    name: 'isMigrating',
    inline: true,
    expression: `request.operation == 'UPDATE' && ${ANNOTATION('object', 'sallyport.dev/migrate')}.trim() != '' &&
${ANNOTATION('object', 'sallyport.dev/migrate')} != ${ANNOTATION('oldObject', 'sallyport.dev/migrate')}`,
  },
]
