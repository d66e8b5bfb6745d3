// ARGO-3, 4, 5, 7, 8, 9: how Argo CD writes `spec.versions`, and what becomes of versions that a pipeline added beside it.
import { listed } from '#core/module/printable.ts'
import type { ArgoApplication } from './application.ts'
import { isOptionOn, optionOf, versionsOfOthers } from './argo_context.ts'
import type { AppliedModule, ArgoCase, ArgoRule, ArgoSaid } from './argo_context.ts'

/** How two can write one Module; measured with Argo CD 3.1. */
const COEXIST =
  'have Argo CD leave the list alone (spec.ignoreDifferences: group opendepot.defdev.io, kind Module, jsonPointers [/spec/versions], and the sync option RespectIgnoreDifferences=true), or let both write their own entries (ServerSideApply=true, with our definition of Module, whose list is keyed by version)'

/** git's list would replace what a pipeline published. */
export const writesOver: ArgoRule = (subject) => {
  const { application, modules } = subject
  if (isSharing(subject)) return []
  const lost = modules.flatMap((applied) =>
    versionsOfOthers(applied).map((plain) => shownVersion(applied, plain)),
  )
  const path = `${application.prefix}spec.syncPolicy`
  if (lost.length > 0) {
    const message = `${listed(lost, 3)} ${lost.length === 1 ? 'is' : 'are'} published and not in git: the next sync takes ${lost.length === 1 ? 'it' : 'them'} off the list; where that is denied, the Application fails until git has ${lost.length === 1 ? 'it' : 'them'}`
    const wayOut = `add the version to git, or ${COEXIST}`
    return [{ rule: 'ARGO-3', severity: application.automated.isOn ? 'deny' : 'warn', path, message, wayOut }]
  }
  const both = modules.find(isWrittenByBoth)
  if (both === undefined) return []
  const { meta } = both.module
  const message = `the policy lets pipelines publish ${meta.namespace}/${meta.name} beside this Application, whose sync takes off the list what git does not have${application.automated.selfHeal ? ', a moment later (selfHeal)' : ''}`
  return [{ rule: 'ARGO-3', severity: 'warn', path, message, wayOut: COEXIST }]
}

function shownVersion({ module }: AppliedModule, plain: string): string {
  return `${module.meta.namespace}/${module.meta.name} ${plain}`
}

/** A policy that names publishers and a GitOps agent means both. */
function isWrittenByBoth({ policies }: AppliedModule): boolean {
  return policies.some(({ spec }) => {
    const { users, groups } = spec.identities.gitops
    return spec.publishers.length > 0 && users.length + groups.length > 0
  })
}

function isSharing({ application, listType }: ArgoCase): boolean {
  if (isListIgnored(application) && isOptionOn(application, 'RespectIgnoreDifferences')) return true
  return (
    isOptionOn(application, 'ServerSideApply') && !isOptionOn(application, 'Replace') && listType !== 'atomic'
  )
}

function isListIgnored(application: ArgoApplication): boolean {
  return ignoredList(application) !== undefined
}

function ignoredList({
  ignoreDifferences,
}: ArgoApplication): ArgoApplication['ignoreDifferences'][number] | undefined {
  return ignoreDifferences.find(
    ({ group, kind, pointers, queries, managers }) =>
      ['opendepot.defdev.io', '*'].includes(group) &&
      ['Module', '*'].includes(kind) &&
      (pointers.some((pointer) => ['/spec', '/spec/versions'].includes(pointer)) ||
        queries.some((query) => /^\.spec(\.versions(\[\])?)?$/.test(query.trim())) ||
        managers.length > 0),
  )
}

/** The difference is hidden, the writing is not. */
export const hidesDifference: ArgoRule = ({ application }) => {
  const ignored = ignoredList(application)
  if (ignored === undefined || isOptionOn(application, 'RespectIgnoreDifferences')) return []
  return [
    {
      rule: 'ARGO-4',
      severity: 'warn',
      path: ignored.path,
      message:
        "ignoreDifferences hides what differs in spec.versions and changes nothing of the sync: git's list is still written whole",
      wayOut: 'add the sync option RespectIgnoreDifferences=true',
    },
  ]
}

export const publishesNothing: ArgoRule = ({ application, modules }) => {
  const ignored = ignoredList(application)
  if (ignored === undefined || !isOptionOn(application, 'RespectIgnoreDifferences')) return []
  const adding = modules.find(({ addsVersions }) => addsVersions)
  if (adding === undefined || ignored.managers.length > 0) return []
  const { meta } = adding.module
  return [
    {
      rule: 'ARGO-5',
      severity: 'warn',
      path: ignored.path,
      message: `a version is added to ${meta.namespace}/${meta.name} in git, and this Application leaves spec.versions of a Module that is there alone: nothing is published`,
      wayOut: 'publish from the pipeline, or take spec.versions out of ignoreDifferences',
    },
  ]
}

export const replaces: ArgoRule = ({ application }) => {
  const option = optionOf(application, 'Replace')
  return option?.value === 'true' ? [replaced(option.path)] : []
}

export function replaced(path: string): ArgoSaid {
  return {
    rule: 'ARGO-7',
    severity: 'warn',
    path,
    message:
      'Replace=true puts the whole object of git in the place of the stored one: versions, pins and labels that others wrote go, and ServerSideApply=true does nothing beside it',
    wayOut: 'take Replace=true out; ServerSideApply=true has room for large objects, too',
  }
}

export const forces: ArgoRule = ({ application }) => {
  const option = optionOf(application, 'Force')
  return option?.value === 'true' ? [forced(option.path)] : []
}

export function forced(path: string): ArgoSaid {
  return {
    rule: 'ARGO-8',
    severity: 'deny',
    path,
    message:
      'Force=true deletes the Module and creates it again: every archive and checksum goes, and each version is fetched anew as whatever its tag is by now',
    wayOut: 'take Force=true out',
  }
}

export const appliesAtServer: ArgoRule = ({ application, listType }) => {
  const option = optionOf(application, 'ServerSideApply')
  return option?.value === 'true' ? [appliedAtServer(option.path, listType)] : []
}

export function appliedAtServer(path: string, listType: ArgoCase['listType']): ArgoSaid {
  const rule = 'ARGO-9'
  const forcing = 'Argo CD applies with force: what another manager wrote in a field of git becomes its own'
  if (listType === 'map') {
    const message = `${forcing}. spec.versions is keyed by version, so entries of others stay`
    return { rule, severity: 'notice', path, message, wayOut: '' }
  }
  if (listType === 'atomic') {
    const message = `${forcing}. spec.versions is one plain list in this definition of Module: git's list takes the place of all of it`
    const wayOut = 'install our definition of Module, whose list is keyed by version'
    return { rule, severity: 'warn', path, message, wayOut }
  }
  const message = `${forcing}. Entries of others in spec.versions stay with our definition of Module (a list keyed by version) and go with OpenDepot's own (one plain list)`
  const wayOut = 'where pipelines write, too, see that the cluster has our definition of Module'
  return { rule, severity: 'notice', path, message, wayOut }
}
