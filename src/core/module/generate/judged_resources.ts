// Which kinds of objects are judged under a policy, and by which rules.
import type { ModulePolicySpec, NamedPolicy } from '#core/module/module_policy.ts'
import { celList, celText, quoted, toldWhere } from './cel_text.ts'
import type { Cel, Variable } from './cel_text.ts'
import type { ResourceChecks } from './check.ts'
import { depotChecks, depotVariables } from './depot_checks.ts'
import { deselectionChecks, loosenedChecks } from './label_checks.ts'
import { listFacts, resourceOf } from './module_facts.ts'
import type { ListKind } from './module_facts.ts'
import { settingChecks, settingVariables } from './module_setting_checks.ts'
import { pinChecks, pinVariables } from './pin_checks.ts'
import { publisherChecks, publisherVariables } from './publisher_checks.ts'
import { VERSION_LIST } from './version_list.ts'
import { versionChecks, versionVariables } from './version_list_checks.ts'
import {
  foreignStatusCheck,
  SWAPPED_FILES,
  swappedFilesCheck,
  versionObjectChecks,
  versionObjectVariables,
} from './version_object_checks.ts'

const OPENDEPOT = { apiGroup: 'opendepot.defdev.io', apiVersion: 'v1alpha1' }
export const VERSIONS = 'versions'
const WRITES = ['CREATE', 'UPDATE', 'DELETE']

const STORED = "(request.operation == 'CREATE' ? object : oldObject)"

/** What exceptions name. */
function owner(name: Cel): Variable {
  return { name: 'ownerName', inline: true, expression: name }
}

const labelOf = (kind: string): Cel =>
  `${STORED}.metadata.?labels[?'opendepot.defdev.io/${kind}'].orValue('')`

// A list of texts has no place for what may be anything, to the checker.
const NAMES_OF_OWNER = [
  `${STORED}.spec.?moduleConfigRef.?name.orValue('')`,
  `(${STORED}.spec.?type.orValue('') == 'Provider' ? ${labelOf('provider')} : ${labelOf('module')})`,
  `${STORED}.spec.?providerConfigRef.?name.orValue('')`,
].map((name) => `string(${name})`)

/** As it says itself; else by its label, and of a provider's by what it repeats of that. */
const OWNER_OF_VERSION = `([${NAMES_OF_OWNER.join(',\n')}].filter(name, name != '') + [''])[0]`

/**
 * @param spec `undefined`: what holds without a policy
 * @param others where there is none: the policies that a label could choose
 */
export function resourcesUnder(
  spec: ModulePolicySpec | undefined,
  others: readonly NamedPolicy[] = [],
): readonly ResourceChecks[] {
  return [
    listed('Module', spec, others),
    status('Module', spec),
    listed('Provider', spec, others),
    status('Provider', spec),
    versions(spec),
    depots(spec),
  ]
}

function isRequired(spec: ModulePolicySpec | undefined): boolean {
  return spec?.immutability === 'required'
}

function listed(
  kind: ListKind,
  spec: ModulePolicySpec | undefined,
  others: readonly NamedPolicy[],
): ResourceChecks {
  const ordering = spec?.ordering ?? 'free'
  const labels = spec?.selector.labels ?? new Map<string, string>()
  const pins = kind === 'Module' ? pinChecks(spec?.pins === 'required') : []
  return {
    ...OPENDEPOT,
    name: resourceOf(kind),
    resources: [resourceOf(kind)],
    operations: WRITES,
    selectedBy: 'stored',
    variables: [
      owner(`${STORED}.metadata.?name.orValue('')`),
      ...VERSION_LIST,
      ...listFacts(kind, isRequired(spec)),
      ...versionVariables(kind, ordering),
      ...settingVariables(kind),
      ...pinVariables(),
      ...publisherVariables(kind, spec),
    ],
    checks: [
      ...versionChecks(kind, ordering),
      ...settingChecks(kind, isRequired(spec)),
      ...deselectionChecks(kind, labels),
      ...loosenedChecks(kind, others),
      ...publisherChecks(spec),
      ...pins,
    ],
  }
}

/** The server takes nothing but the status from such a request. */
function status(kind: ListKind, spec: ModulePolicySpec | undefined): ResourceChecks {
  const resource = resourceOf(kind)
  const files = kind === 'Module' ? [swappedFilesCheck()] : []
  return {
    ...OPENDEPOT,
    name: `${resource}-status`,
    resources: [`${resource}/status`],
    operations: ['UPDATE'],
    selectedBy: 'stored',
    variables: [
      owner('oldObject.metadata.name'),
      ...listFacts(kind, isRequired(spec)),
      ...(kind === 'Module' ? SWAPPED_FILES : []),
    ],
    checks: [foreignStatusCheck(), ...files],
  }
}

function versions(spec: ModulePolicySpec | undefined): ResourceChecks {
  return {
    ...OPENDEPOT,
    name: VERSIONS,
    resources: ['versions', 'versions/status'],
    operations: WRITES,
    selectedBy: 'stored',
    variables: [owner(OWNER_OF_VERSION), ...versionObjectVariables(isRequired(spec))],
    checks: versionObjectChecks(),
  }
}

/** What a Depot publishes may have any label, so all policies of its namespace hold, and those with labels beside none. */
function depots(spec: ModulePolicySpec | undefined): ResourceChecks {
  return {
    ...OPENDEPOT,
    name: 'depots',
    resources: ['depots'],
    operations: WRITES,
    selectedBy: 'namespace',
    variables: [owner(`${STORED}.metadata.?name.orValue('')`), ...depotVariables(isRequired(spec))],
    checks: depotChecks(),
  }
}

/** WH-L1. */
export function ledgerResource(writers: readonly string[]): ResourceChecks {
  const done = "{'CREATE': 'written', 'UPDATE': 'changed', 'DELETE': 'deleted'}[request.operation]"
  const module = `${STORED}.spec.module`
  const about = quoted(`(${module}.namespace + '/' + ${module}.name)`)
  return {
    name: 'publishedversions',
    apiGroup: 'sallyport.dev',
    apiVersion: 'v1alpha1',
    resources: ['publishedversions'],
    operations: WRITES,
    selectedBy: 'namespace',
    variables: [],
    checks: [
      {
        rule: 'WH-L1',
        kind: 'forbidden',
        name: 'l1',
        problems: toldWhere(
          `!(request.userInfo.username in ${celList(writers)})`,
          'WH-L1',
          `'the ledger of ' + ${about} + ' would be ' + ${done} + ' by ' + ${quoted('request.userInfo.username')} + ${celText("; it is kept by Sallyport's webhook alone")}`,
          celText('publish and unpublish through the Module; the ledger follows'),
        ),
      },
    ],
  }
}
