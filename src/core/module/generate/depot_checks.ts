// The rules about Depots (WH-D2, and WH-P1 of who writes one), in CEL.
import { celText, noted, quoted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { storageTextOf } from './module_facts.ts'

const IS_UPDATED = "request.operation == 'UPDATE'"

const configs = (object: Cel): Cel => `${object}.?spec.?moduleConfigs.orValue([])`
const immutable = (config: Cel): Cel => `${config}.?immutable.orValue(false)`
const globalConfig = (object: Cel): Cel => `${object}.?spec.?global.?moduleConfig`

/** What all modules of the Depot have that have no storage of their own. */
function globalStorage(object: Cel): Cel {
  const own = `${object}.?spec.?global.?storageConfig`
  return `${own}.hasValue() ? ${storageTextOf(own)} : ${storageTextOf(`${globalConfig(object)}.?storageConfig`)}`
}

const shown = (texts: Cel): Cel => `(${texts}.size() == 0 ? 'no storage' : ${texts}.join(', '))`

const name = (config: Cel): Cel => `${config}.?name.orValue('')`
const own = (config: Cel, fallback: Cel): Cel =>
  `(${config}.?storageConfig.hasValue() ? ${storageTextOf(`${config}.?storageConfig`)} : ${fallback})`

export function depotVariables(isRequired: boolean): readonly Variable[] {
  return [
    // Only what this request changes is gone through.
    {
      name: 'oldConfigs',
      expression: `!(${IS_UPDATED}) ? [] : ${configs('oldObject')}.filter(config, !(config in ${configs('object')}))`,
    },
    { name: 'newConfigs', expression: `!(${IS_UPDATED}) ? [] : ${configs('object')}` },
    { name: 'wasStored', expression: `!(${IS_UPDATED}) ? [] : ${globalStorage('oldObject')}` },
    { name: 'stored', expression: `!(${IS_UPDATED}) ? [] : ${globalStorage('object')}` },
    {
      name: 'isHeld',
      inline: true,
      expression: isRequired
        ? 'true'
        : `${IS_UPDATED} && (${globalConfig('oldObject')}.?immutable.orValue(false) ||
${configs('oldObject')}.exists(config, ${immutable('config')}))`,
    },
    {
      name: 'takenBack',
      inline: true,
      expression: `(${IS_UPDATED} && ${globalConfig('oldObject')}.?immutable.orValue(false) &&
!${globalConfig('object')}.?immutable.orValue(false) ? ['all its Modules'] : []) +
variables.oldConfigs.filter(config, ${immutable('config')} && variables.newConfigs.exists(next,
${name('next')} == ${name('config')} && !${immutable('next')})).map(config, ${quoted(name('config'))})`,
    },
    {
      name: 'movedModules',
      inline: true,
      // Without a storage of its own a module has the Depot's.
      expression: `variables.oldConfigs.filter(config, variables.newConfigs.exists(next, ${name('next')} == ${name('config')} &&
(next.?storageConfig.hasValue() || config.?storageConfig.hasValue()) &&
${own('config', 'variables.wasStored')} != ${own('next', 'variables.stored')}))
.map(config, [${quoted(name('config'))}, ${shown(own('config', 'variables.wasStored'))},
variables.newConfigs.filter(next, ${name('next')} == ${name('config')}).map(next, ${shown(own('next', 'variables.stored'))})[0]])`,
    },
    {
      name: 'moved',
      expression: `(variables.wasStored == variables.stored ? [] :
[['this Depot', ${shown('variables.wasStored')}, ${shown('variables.stored')}]]) +
variables.movedModules`,
    },
  ]
}

const moved = (one: Cel): Cel =>
  `'the archives of ' + ${one}[0] + ' are in ' + ${quoted(`${one}[1]`)} + ', and would be looked for in ' + ${quoted(`${one}[2]`)}`

export function depotChecks(): readonly Check[] {
  return [
    {
      rule: 'WH-D2',
      kind: 'forbidden',
      name: 'd2Immutable',
      problems: told({
        rule: 'WH-D2',
        list: 'variables.takenBack',
        sentence: (whose) => `'this Depot makes ' + ${whose} + ' immutable, and would stop doing so'`,
        wayOut: "'leave immutable: true'",
      }),
    },
    {
      rule: 'WH-D2',
      kind: 'forbidden',
      name: 'd2Moved',
      problems: `!variables.isHeld ? [] : ${told({
        rule: 'WH-D2',
        list: 'variables.moved',
        sentence: moved,
        short: (one) => `${one}[0]`,
        wayOut: "'leave the storage as it is, or start a second Depot'",
      })}`,
    },
    {
      rule: 'WH-D2',
      kind: 'notice',
      name: 'd2MovedNotice',
      problems: `variables.isHeld ? [] : ${noted({ rule: 'WH-D2', list: 'variables.moved', sentence: moved, short: (one) => `${one}[0]` })}`,
    },
    {
      rule: 'WH-P1',
      kind: 'forbidden',
      name: 'p1Depot',
      // An exception for the publisher of a Module is none for a Depot that somebody gives its name.
      isNeverExcepted: true,
      problems: toldWhere(
        `request.operation != 'DELETE' && (request.operation == 'CREATE' || object.?spec != oldObject.?spec) &&
!(variables.isController || variables.isGitops || (variables.isListedHuman && !variables.isImporter))`,
        'WH-P1',
        `'a Depot publishes whatever it names, and it may not be written by ' + ${quoted('request.userInfo.username')}`,
        celText('have the ModulePolicy list this identity under gitops or human'),
      ),
    },
  ]
}
