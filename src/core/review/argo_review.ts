// Argo CD's objects among the reviewed files and beside them, judged by what they do to the Modules that they apply.
import { identitiesOf } from '#core/module/ledger.ts'
import { readModule } from '#core/module/module_object.ts'
import { readDefinition } from '#core/module/guarded_object.ts'
import { isSelected } from '#core/module/module_policy.ts'
import { listed } from '#core/module/printable.ts'
import { readApplication } from './argo/application.ts'
import type { ArgoApplication } from './argo/application.ts'
import { versionsOfOthers } from './argo/argo_context.ts'
import type { AppliedModule, ArgoCase, ArgoSaid } from './argo/argo_context.ts'
import { applicationOf } from './argo/coverage.ts'
import { leaves, leavesFolder, leavesOut, movesCluster, takesOther } from './argo/changed_rules.ts'
import type { StayingObject } from './argo/changed_rules.ts'
import { deletedApplication } from './argo/deleting_rules.ts'
import { projectIdentities } from './argo/identity_rules.ts'
import { isKeptBy, judgeApplication, judgeModuleAnnotations } from './argo/judge_argo.ts'
import { isJudged } from './object_change.ts'
import type { ReviewCase } from './object_change.ts'
import { isApplication } from './known_applications.ts'
import { objectPath } from './object_path.ts'
import { isSameObject } from './pairing.ts'
import type { Pairing } from './pairing.ts'
import { findingAt, unreadableFinding } from './review_finding.ts'
import type { ReviewFinding } from './review_finding.ts'
import { shownObject } from './reviewed_object.ts'
import type { ReviewedObject } from './reviewed_object.ts'
import { annotationsOf, asStored } from './subject.ts'

export function argoFindings(pairings: readonly Pairing[], subject: ReviewCase): readonly ReviewFinding[] {
  const listType = moduleListType([...subject.around, ...pairings.flatMap(({ after }) => after)])
  const modules = pairings.flatMap((pairing) => appliedModules(pairing, subject))
  const staying = pairings.flatMap(stayingObject)
  const world: World = { subject, modules, staying, listType, ...appliedByArgo(pairings, subject) }
  return [
    ...pairings.flatMap((pairing) => pairingFindings(pairing, world)),
    // What is named beside the change is as it was before.
    ...subject.around.flatMap((object) => [
      ...asBefore(objectFindings(object, world)),
      ...changeOfApplication(object, object, world),
    ]),
    ...modules.flatMap((module) => moduleFindings(module, world)),
  ]
}

type World = {
  readonly subject: ReviewCase
  readonly modules: readonly FoundModule[]
  readonly staying: readonly StayingObject[]
  readonly listType: ArgoCase['listType']
  /** Otherwise whoever asks wants to know about the Applications themselves. */
  readonly isAboutObjects: boolean
  /** Keys of the Applications that apply something reviewed, or did. */
  readonly appliers: ReadonlySet<string>
}

function appliedByArgo(
  pairings: readonly Pairing[],
  { applications, formerApplications }: ReviewCase,
): Pick<World, 'isAboutObjects' | 'appliers'> {
  const objects = pairings.flatMap(({ before, after }) => before.concat(after))
  const applied = objects.filter(({ resource }) => isJudged(resource))
  const appliers = [applications, formerApplications].flatMap((known) =>
    applied.flatMap((object) => applicationOf(object, known)?.object.key ?? []),
  )
  return { isAboutObjects: applied.length > 0, appliers: new Set(appliers) }
}

function stayingObject({ before, after }: Pairing): readonly StayingObject[] {
  const [object] = after
  if (object === undefined || before.length === 0 || !isJudged(object.resource)) return []
  return [
    {
      shown: shownObject(object),
      before: before.map(({ within }) => within),
      after: after.map(({ within }) => within),
      isKept: after.concat(before).every((one) => isKeptBy(annotationsOf(one))),
    },
  ]
}

type FoundModule = AppliedModule & {
  readonly object: ReviewedObject
  readonly before: ReviewedObject | undefined
  readonly application: ArgoApplication | undefined
}

function appliedModules({ before, after }: Pairing, subject: ReviewCase): readonly FoundModule[] {
  return after.flatMap((object) => {
    if (object.resource !== 'modules') return []
    const module = readModule(asStored(object))
    if (!module.ok) return []
    const [old] = before
    const was = old === undefined ? undefined : readModule(asStored(old))
    const known = identitiesOf(was?.ok === true ? was.value : undefined)
    const { namespace, name } = object
    return [
      {
        module: module.value,
        published: subject.facts.publishedOf({ kind: 'Module', namespace, name }),
        addsVersions:
          old !== undefined && [...identitiesOf(module.value).keys()].some((plain) => !known.has(plain)),
        policies: subject.policies.filter(({ spec }) =>
          isSelected(spec.selector, namespace, module.value.meta.labels),
        ),
        object,
        before: old,
        application: applicationOf(object, subject.applications),
      },
    ]
  })
}

function pairingFindings({ before, after }: Pairing, world: World): readonly ReviewFinding[] {
  const [old] = before
  if (after.length === 0) return old !== undefined && isApplication(old) ? goneApplication(old, world) : []
  const known = old === undefined ? [] : objectFindings(old, world)
  return after.flatMap((object) => {
    const found = objectFindings(object, world)
    const stood = new Set(known.map(({ rule, path, message }) => JSON.stringify([rule, path, message])))
    const said = found.flatMap((finding) =>
      stood.has(JSON.stringify([finding.rule, finding.path, finding.message]))
        ? asBefore([finding])
        : [finding],
    )
    return old === undefined ? said : [...said, ...changeOfApplication(old, object, world)]
  })
}

/** What the change itself brings, of whatever it applied before. */
function changeOfApplication(
  old: ReviewedObject,
  object: ReviewedObject,
  world: World,
): readonly ReviewFinding[] {
  if (!isApplication(old) || (world.isAboutObjects && !world.appliers.has(object.key))) return []
  const [before, after] = [readApplication(old), readApplication(object)]
  if (!before.ok || !after.ok) return []
  const changed = { before: before.value, after: after.value }
  const left = world.isAboutObjects ? leaves(changed, world.staying) : leavesFolder(changed)
  const rest = [leavesOut, movesCluster, takesOther].flatMap((rule) => rule(changed))
  return [...left, ...rest].map((said) => placed(said, object))
}

/** A change is not held up by what it did not bring, and nobody is told the same at each change. */
function asBefore(findings: readonly ReviewFinding[]): readonly ReviewFinding[] {
  return findings
    .filter(({ severity }) => severity !== 'notice')
    .map((finding) => (finding.severity === 'deny' ? knownBefore(finding) : finding))
}

function knownBefore(finding: ReviewFinding): ReviewFinding {
  return { ...finding, severity: 'warn', message: `${finding.message} (as it was before this change)` }
}

function objectFindings(object: ReviewedObject, world: World): readonly ReviewFinding[] {
  if (object.resource === 'appprojects')
    return projectIdentities(object, world.subject.policies).map((said) => placed(said, object))
  if (!isApplication(object)) return []
  const application = readApplication(object)
  if (!application.ok) return [unreadableFinding(object, 'Argo CD could not read it', application.denial)]
  const modules = world.modules.filter((found) => found.application?.object.key === object.key)
  if (world.isAboutObjects && !world.appliers.has(object.key)) return []
  const subject = { application: application.value, modules, listType: world.listType }
  return judgeApplication(subject).map((said) => placed(said, object))
}

function goneApplication(old: ReviewedObject, world: World): readonly ReviewFinding[] {
  const application = readApplication(old)
  if (!application.ok) return []
  const isOurs = !world.isAboutObjects || world.appliers.has(old.key)
  if (!isOurs) return []
  return deletedApplication(application.value).map((said) =>
    findingAt(said.rule, said, old, undefined, old.placeOf([])),
  )
}

/** Annotations that ask Argo CD for something, and versions of the ledger that neither state of the file has. */
function moduleFindings(found: FoundModule, { listType }: World): readonly ReviewFinding[] {
  const { module, object, before } = found
  const said = judgeModuleAnnotations(module.meta.annotations, listType)
  const stood = new Set(annotationsBefore(before, listType).map(({ rule }) => rule))
  const annotations = said.flatMap((one) => {
    const finding = [placed(one, object)]
    return stood.has(one.rule) ? asBefore(finding) : finding
  })
  return [...annotations, ...versionsElsewhere(found)]
}

function annotationsBefore(
  before: ReviewedObject | undefined,
  listType: ArgoCase['listType'],
): readonly ArgoSaid[] {
  const read = before === undefined ? undefined : readModule(asStored(before))
  return read?.ok === true ? judgeModuleAnnotations(read.value.meta.annotations, listType) : []
}

/** With an Application ARGO-3 says it. */
function versionsElsewhere(found: FoundModule): readonly ReviewFinding[] {
  const { object, before, application } = found
  if (application !== undefined || (before !== undefined && isSameObject(before, object))) return []
  const former = before === undefined ? undefined : readModule(asStored(before))
  const known = identitiesOf(former?.ok === true ? former.value : undefined)
  const others = versionsOfOthers(found).filter((plain) => !known.has(plain))
  if (others.length === 0) return []
  const message = `published by the ledger and not in this file: ${listed(others, 3)}; applying the file takes ${others.length === 1 ? 'it' : 'them'} off the list, unless it is applied at the server with our definition of Module`
  const wayOut =
    'add them to the file, or let whoever publishes them be the only one who writes spec.versions'
  const place = object.placeOf(['spec', 'versions'])
  return [findingAt('GIT-7', { severity: 'warn', path: 'spec.versions', message, wayOut }, object, place)]
}

function placed(said: ArgoSaid, object: ReviewedObject): ReviewFinding {
  return findingAt(said.rule, said, object, object.placeOf(objectPath(said.path)))
}

/** Of the definition of Module, where one is among the files. */
function moduleListType(objects: readonly ReviewedObject[]): ArgoCase['listType'] {
  const definition = objects.find(
    ({ resource, name }) =>
      resource === 'customresourcedefinitions' && name === 'modules.opendepot.defdev.io',
  )
  if (definition === undefined) return undefined
  const read = readDefinition(definition.data)
  if (!read.ok) return undefined
  const schema = JSON.stringify(read.value.versions.find(({ served }) => served)?.schema ?? {})
  return /"x-kubernetes-list-map-keys":\["version"\]/.test(schema) ? 'map' : 'atomic'
}
