// WH-M15 of labels, in CEL: none takes a Module or a Provider away from what holds it, and none puts it under less.
import type { ModulePolicySpec, NamedPolicy } from '#core/module/module_policy.ts'
import { isAnyModeLooser } from '#core/module/rules/m15_deselected.ts'
import { allOf, celList, celText, told, toldWhere } from './cel_text.ts'
import type { Cel } from './cel_text.ts'
import type { Check } from './check.ts'
import type { ListKind } from './module_facts.ts'

const IS_UPDATED = "request.operation == 'UPDATE'"

/** A label does not take a Module away from the policy that covers it. */
export function deselectionChecks(kind: ListKind, labels: ReadonlyMap<string, string>): readonly Check[] {
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
        celText(`the label ${shown.join(', ')}${more} goes, and with it the policy that covers this ${kind}`),
        "'keep the label'",
      ),
    },
  ]
}

/** Where no policy covers what is stored; one that selects by no label covers it already, or never will. */
export function loosenedChecks(kind: ListKind, policies: readonly NamedPolicy[]): readonly Check[] {
  const gained = policies.flatMap(({ name, spec }) => {
    const condition = isGained(spec)
    return condition === undefined ? [] : [`(${condition} ? [${celText(name)}] : [])`]
  })
  if (gained.length === 0) return []
  const isPublished = `${IS_UPDATED} && variables.isHeld && variables.oldEntries.size() > 0`
  return [
    {
      rule: 'WH-M15',
      kind: 'forbidden',
      name: 'm15Loosened',
      problems: told({
        rule: 'WH-M15',
        list: `${isPublished} ? ${gained.join(' +\n')} : []`,
        sentence: (policy) =>
          `'the labels would put this ${kind} under the policy "' + ${policy} + '", which enforces less than holds without one'`,
        wayOut: celText('leave the label out, or have that policy enforce its rules first'),
      }),
    },
  ]
}

/** `undefined` of a policy that enforces all that holds without one. */
function isGained({ selector, modes, exceptions }: ModulePolicySpec): Cel | undefined {
  const { namespaces, labels } = selector
  const excepted = [...new Set(exceptions.flatMap(({ modules }) => modules))].toSorted()
  const isLooser = isAnyModeLooser(modes)
  if (labels.size === 0 || (!isLooser && excepted.length === 0)) return undefined
  return allOf([
    ...(namespaces.length === 0 ? [] : [`request.namespace in ${celList(namespaces)}`]),
    ...[...labels].map(
      ([key, value]) => `object.metadata.?labels[?${celText(key)}] == optional.of(${celText(value)})`,
    ),
    ...(isLooser ? [] : [`request.namespace + '/' + variables.ownerName in ${celList(excepted)}`]),
  ])
}
