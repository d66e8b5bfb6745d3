// What a version is made of (WH-P2), in CEL. What was published from which commit the ledger knows, so a late pin is for the webhook to
// compare.
import { PINS_ANNOTATION } from '#core/module/pins.ts'
import { celPattern, celText, noted, told, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { Check } from './check.ts'
import { plainOf, SEMVER } from './version_list.ts'

const PIN = '(?i:[0-9a-f]{40}|[0-9a-f]{64}|sha256:[0-9a-f]{64})'

function annotation(object: Cel): Cel {
  return `${object}.metadata.?annotations[?'${PINS_ANNOTATION}'].orValue('')`
}

function pinWords(object: Cel): Cel {
  const blanks = [',', '\\n', '\\t', '\\r'].map((blank) => `.replace('${blank}', ' ')`).join('')
  return `${annotation(object)}${blanks}.split(' ').filter(word, word != '')`
}

/** `1.0.0=<value>`: the plain version, and the value in lower case. */
const pinName = (pin: Cel): Cel => plainOf(`${pin}.split('=')[0]`)
const pinValue = (pin: Cel): Cel => `${pin}.substring(${pin}.indexOf('=') + 1).lowerAscii()`

const inOneSpelling = `${pinName('pin')} + '=' + ${pinValue('pin')}`

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
    // Each in one spelling; of what cannot be read, none.
    {
      name: 'pins',
      expression: `variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0 ? [] : variables.pinWords.map(pin, ${inOneSpelling})`,
    },
    {
      name: 'storedPins',
      expression: `variables.arePinsKept || variables.oldPinWords.exists(word, !(${isPin})) ? [] :
[variables.oldPinWords.map(pin, ${pinName('pin')})].exists(names, names.distinct().size() != names.size()) ? [] :
variables.oldPinWords.map(pin, ${inOneSpelling})`,
    },
    // Publishing appends, so only a list that was rewritten is gone through pin by pin.
    {
      name: 'arePinsAppended',
      inline: true,
      expression: `variables.storedPins.size() <= variables.pins.size() &&
variables.pins.slice(0, variables.storedPins.size()) == variables.storedPins`,
    },
    {
      name: 'gonePins',
      expression: `variables.arePinsAppended ? [] : variables.storedPins.filter(pin, !(pin in variables.pins))`,
    },
    // What was pinned and is not any more, or to something else; who leaves the list takes its pin along.
    {
      name: 'movedPins',
      inline: true,
      expression: `variables.arePinsKept || variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0 ? [] :
variables.gonePins.filter(pin,
!variables.removedAt.exists(index, variables.oldPlains[index] == ${pinName('pin')}))`,
    },
    // Of two annotations that can be read.
    {
      name: 'changedPins',
      inline: true,
      expression: `variables.arePinsKept || variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0 ||
(variables.storedPins.size() == 0 && variables.oldPinWords.size() > 0) ? [] :
variables.arePinsAppended ? variables.pins.slice(variables.storedPins.size(), variables.pins.size()) :
variables.gonePins + variables.pins.filter(pin, !(pin in variables.storedPins))`,
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
        `(variables.badPins.size() > 0 || variables.pinnedTwice.size() > 0) &&
(request.operation == 'CREATE' || ${annotation('object')} != ${annotation('oldObject')})`,
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
