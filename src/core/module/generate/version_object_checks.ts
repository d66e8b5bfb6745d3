// The rules about Version objects and about status (WH-S), in CEL. Whether its Module lists a Version, and says that it is immutable,
// another object says: here only what the Version repeats of it counts.
import { GARBAGE_COLLECTOR, NAMESPACE_CONTROLLER } from '#core/module/actor.ts'
import { celText, plainTextOf, quoted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { isVersion, plainOf } from './version_list.ts'

const USER = quoted('request.userInfo.username')
/** The field is not there where nothing but the object itself is written. */
const IS_STATUS = "request.?subResource.orValue('') == 'status'"

export function foreignStatusCheck(): Check {
  return {
    rule: 'WH-S1',
    kind: 'forbidden',
    name: 's1',
    problems: toldWhere(
      `${IS_STATUS} && !variables.isController && object.?status != oldObject.?status`,
      'WH-S1',
      `'status is written by controllers, and ' + ${USER} + ' is none'`,
      "'leave status alone, or have the ModulePolicy list this identity under controller'",
    ),
  }
}

export const SWAPPED_FILES: readonly Variable[] = [
  {
    name: 'files',
    expression: `${IS_STATUS} ? object.?status.?moduleVersionRefs.orValue({}) : {}`,
  },
  {
    name: 'swapped',
    inline: true,
    expression: `!(${IS_STATUS}) ? [] :
oldObject.?status.?moduleVersionRefs.orValue({}).transformList(version, ref,
ref.?fileName.orValue('') != '' && version in variables.files &&
variables.files[version].?fileName.orValue('') != ref.fileName && ${isVersion(plainOf('version'))}, version)`,
  },
]

const oldFile = (version: Cel): Cel => quoted(`oldObject.status.moduleVersionRefs[${version}].fileName`)
const newFile = (version: Cel): Cel => quoted(`variables.files[${version}].?fileName.orValue('')`)

export function swappedFilesCheck(): Check {
  return {
    rule: 'WH-S1',
    kind: 'forbidden',
    name: 's1Files',
    problems: `!variables.isHeld ? [] : ${told({
      rule: 'WH-S1',
      list: 'variables.swapped',
      sentence: (version) =>
        `'version ' + ${plainOf(version)} + ' is served from the file ' + ${oldFile(version)} + ', and would be from ' + ${newFile(version)}`,
      short: plainOf,
      wayOut: "'keep the file that was published'",
    })}`,
  }
}

const OWN_LABELS = (object: Cel): Cel =>
  `${object}.metadata.?labels.orValue({}).transformMap(key, value, key.startsWith('opendepot.defdev.io/'), value)`

/** Of a map: all but forceSync, whatever newer definitions know. */
const IS_SPEC_KEPT = `[oldObject, object].all(one, dyn(one.spec).all(key, key == 'forceSync' ||
(key in dyn(object.spec) && key in dyn(oldObject.spec) && dyn(object.spec)[key] == dyn(oldObject.spec)[key])))`

/** A Provider has only the policy to say that it holds. */
const IS_PROVIDERS = "oldObject.spec.?type.orValue('') == 'Provider'"

/** What OpenDepot compares the checksum by before it stores anything; it knows nothing of policies. */
const IS_COMPARED = 'oldObject.spec.?moduleConfigRef.?immutable.orValue(false)'

export function versionObjectVariables(isRequired: boolean): readonly Variable[] {
  const stored = "(request.operation == 'CREATE' ? object : oldObject)"
  return [
    { name: 'text', inline: true, expression: `${stored}.spec.?version.orValue('')` },
    { name: 'plain', inline: true, expression: plainTextOf('variables.text', isVersion, plainOf) },
    {
      name: 'isHeld',
      inline: true,
      expression: isRequired
        ? 'true'
        : `request.operation != 'CREATE' && !(${IS_PROVIDERS}) && ${IS_COMPARED}`,
    },
    {
      name: 'changedPart',
      expression: `request.operation != 'UPDATE' || ${IS_STATUS} ? '' : !${IS_SPEC_KEPT} ? 'spec'
: ${OWN_LABELS('oldObject')} != ${OWN_LABELS('object')} ? 'metadata.labels' : ''`,
    },
    {
      name: 'wasChecksum',
      inline: true,
      expression: `${IS_STATUS} ? oldObject.?status.?checksum.orValue('') : ''`,
    },
    {
      name: 'checksum',
      inline: true,
      expression: `${IS_STATUS} ? object.?status.?checksum.orValue('') : ''`,
    },
    {
      name: 'isNamespaceGoing',
      inline: true,
      expression: `request.userInfo.username == ${celText(NAMESPACE_CONTROLLER)} &&
namespaceObject.metadata.?deletionTimestamp.hasValue()`,
    },
    // Whether its owner still lists it, the webhook knows.
    {
      name: 'isOwners',
      inline: true,
      expression: `variables.isController ||
request.userInfo.username == ${celText(GARBAGE_COLLECTOR)}`,
    },
  ]
}

export function versionObjectChecks(): readonly Check[] {
  const name = quoted("(request.operation == 'CREATE' ? object : oldObject).metadata.?name.orValue('')")
  return [
    foreignStatusCheck(),
    {
      rule: 'WH-S2',
      kind: 'forbidden',
      name: 's2',
      problems: toldWhere(
        "variables.wasChecksum != '' && variables.wasChecksum != variables.checksum && variables.isHeld",
        'WH-S2',
        `'version ' + variables.plain + ' was published with the checksum ' + ${quoted('variables.wasChecksum')} + ', which ' +
(variables.checksum == '' ? 'would be forgotten' : 'would become ' + ${quoted('variables.checksum')})`,
        celText('publish the next version; what is fetched now is not what was published'),
      ),
    },
    {
      rule: 'WH-S3',
      kind: 'forbidden',
      name: 's3',
      problems: toldWhere(
        "variables.changedPart != '' && !variables.isController",
        'WH-S3',
        `'version ' + variables.plain + ' is described by controllers, and ' + ${USER} + ' would change ' + variables.changedPart`,
        celText('change the Module; its controller writes the Version'),
      ),
    },
    {
      rule: 'WH-S4',
      kind: 'forbidden',
      name: 's4',
      problems: toldWhere(
        "request.operation == 'CREATE' && !variables.isController",
        'WH-S4',
        `'the Version ' + ${name} + ' would be made by ' + ${USER} + ', who is no controller'`,
        celText('add the version to spec.versions of its Module'),
      ),
    },
    {
      rule: 'WH-S5',
      kind: 'forbidden',
      name: 's5',
      problems: toldWhere(
        "request.operation == 'DELETE' && !variables.isOwners && !variables.isNamespaceGoing",
        'WH-S5',
        `'deleting the Version ' + ${name} + ' deletes the archive of version ' + variables.plain`,
        celText('leave it; what its Module no longer lists, the controller takes away'),
      ),
    },
    {
      rule: 'WH-S6',
      kind: 'forbidden',
      name: 's6',
      problems: toldWhere(
        `request.operation == 'UPDATE' && object.spec.?forceSync.orValue(false) &&
!oldObject.spec.?forceSync.orValue(false) && !variables.isController && !${IS_COMPARED}`,
        'WH-S6',
        "'forceSync fetches version ' + variables.plain + ' again, and nothing keeps what is fetched the same'",
        `${IS_PROVIDERS} ? 'leave it to the controller' : 'write immutable: true in the Module first'`,
      ),
    },
  ]
}
