// What the rules about a Module ask first, in CEL: its settings before and after, whether its versions are held, and what breaks
// the glass.
import { celPattern } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'

const API_GROUP = 'opendepot.defdev.io'

/** The verb on this Module, for whoever asks. */
export function mayDo(verb: 'unpublish' | 'migrate'): Cel {
  const name = "(request.operation == 'CREATE' ? object : oldObject).metadata.name"
  return `authorizer.group('${API_GROUP}').resource('modules').namespace(request.namespace).name(${name}).check('${verb}').allowed()`
}

function settings(config: Cel, meta: Cel): Cel {
  const fields = ['provider', 'repoOwner', 'repoUrl', 'fileFormat'].map(
    (field) => `'${field}': ${config}.?${field}.orValue('')`,
  )
  const configured = `'configured': ${config}.?name.orValue('')`
  const name = `'name': ${config}.?name.orValue('') == '' ? ${meta}.?name.orValue('') : ${config}.name`
  return `{${[configured, name, ...fields].join(', ')}}`
}

/** `s3 bucket=a key=b region=c`, as in m6_storage_moved.ts. */
export function storageTextOf(storage: Cel): Cel {
  const kinds: readonly (readonly [kind: string, fields: readonly string[]])[] = [
    ['s3', ['bucket', 'key', 'region']],
    ['azureStorage', ['accountName', 'accountUrl', 'resourceGroup', 'subscriptionID']],
    ['gcs', ['bucket']],
    ['fileSystem', ['directoryPath']],
  ]
  const texts = kinds.map(([kind, fields]) => {
    const parts = fields.map((field) => {
      const value = `${storage}.?${kind}.?${field}`
      return `(${value}.hasValue() ? ' ${field}=' + ${value}.value() : '')`
    })
    return `(${storage}.?${kind}.hasValue() ? ['${kind}' + ${parts.join(' + ')}] : [])`
  })
  return `(${texts.join(' + ')})`
}

/** @param isRequired whether the policy says that nothing published changes, whatever the Module says */
export function moduleFacts(isRequired: boolean): readonly Variable[] {
  return [
    {
      name: 'was',
      expression: `request.operation == 'CREATE' ? {} : ${settings('oldObject.spec.moduleConfig', 'oldObject.metadata')}`,
    },
    {
      name: 'becomes',
      expression: `request.operation == 'DELETE' ? {} : ${settings('object.spec.moduleConfig', 'object.metadata')}`,
    },
    {
      name: 'wasImmutable',
      expression: "request.operation != 'CREATE' && oldObject.spec.moduleConfig.?immutable.orValue(false)",
    },
    {
      name: 'isImmutable',
      expression: "request.operation != 'DELETE' && object.spec.moduleConfig.?immutable.orValue(false)",
    },
    { name: 'isHeld', expression: isRequired ? 'true' : 'variables.wasImmutable || variables.isImmutable' },
    // When it was held already, a limit that was there is nothing new.
    { name: 'wasHeld', expression: isRequired ? 'true' : 'variables.wasImmutable' },
    {
      name: 'wasLimit',
      expression:
        "request.operation == 'CREATE' ? 0 : oldObject.spec.moduleConfig.?versionHistoryLimit.orValue(0)",
    },
    {
      name: 'limit',
      expression:
        "request.operation == 'DELETE' ? 0 : object.spec.moduleConfig.?versionHistoryLimit.orValue(0)",
    },
    {
      name: 'wasStored',
      expression: `request.operation == 'CREATE' ? [] : ${storageTextOf('oldObject.spec.moduleConfig.?storageConfig')}`,
    },
    {
      name: 'stored',
      expression: `request.operation == 'DELETE' ? [] : ${storageTextOf('object.spec.moduleConfig.?storageConfig')}`,
    },
    ...GLASS,
  ]
}

const ANNOTATION = (object: Cel, name: string): Cel =>
  `${object}.metadata.?annotations[?'${name}'].orValue('')`

/** As in break_glass.ts. */
const GLASS: readonly Variable[] = [
  {
    name: 'unpublishAsked',
    expression: ANNOTATION("(request.operation == 'DELETE' ? oldObject : object)", 'sallyport.dev/unpublish'),
  },
  {
    name: 'unpublishNames',
    expression: `variables.unpublishAsked.matches(${celPattern('(?s)^[^:]+:.*\\S')})
? variables.unpublishAsked.split(':')[0].split(',').map(name, name.trim()) : []`,
  },
  {
    name: 'isMigrating',
    expression: `request.operation == 'UPDATE' && ${ANNOTATION('object', 'sallyport.dev/migrate')}.trim() != '' &&
${ANNOTATION('object', 'sallyport.dev/migrate')} != ${ANNOTATION('oldObject', 'sallyport.dev/migrate')}`,
  },
]
