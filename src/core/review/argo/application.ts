// An Argo CD Application (argoproj.io/v1alpha1, 3.1) as far as it decides what happens to published versions. The template of an
// ApplicationSet is read the same way, as far as it is written out.
import { reading } from '#core/module/reading.ts'
import type { FieldReader, Reading } from '#core/module/reading.ts'
import { asStored } from '#core/review/subject.ts'
import type { ReviewedObject } from '#core/review/reviewed_object.ts'

export type SyncOption = {
  readonly name: string
  readonly value: string
  /** Path of the option, or of the annotation that holds it. */
  readonly path: string
}

type IgnoredDifference = {
  readonly path: string
  readonly group: string
  readonly kind: string
  /** '' for every one. */
  readonly name: string
  readonly namespace: string
  readonly pointers: readonly string[]
  readonly queries: readonly string[]
  readonly managers: readonly string[]
}

type ArgoSource = {
  readonly path: string
  /** The folder in its repository; '' of the root. */
  readonly folder: string
  /** Files in folders below are applied, too. */
  readonly isRecursive: boolean
  /** Patterns for the names of files, '' when there is none: only these, all but these. */
  readonly include: string
  readonly exclude: string
  /** Something that is not read here makes its manifests: a chart, a plugin. '' when nothing does. */
  readonly madeBy: string
  /** Of a repository and what is checked out of it; HEAD when it says nothing. */
  readonly repository: string
  readonly revision: string
  /** Keys of `kustomize` by which objects become something else than the folder says. */
  readonly changedBy: readonly string[]
}

type ArgoRetry = {
  /** Attempts after the first; below 0: for ever. */
  readonly limit: number
  /** How long a denied sync goes on trying, seconds; `undefined` when that is not plain. */
  readonly lastsSeconds: number | undefined
  /** A new commit ends the attempts at the old one. */
  readonly isRefreshed: boolean
}

export type ArgoApplication = {
  readonly object: ReviewedObject
  /** '' of an Application, `spec.template.` of an ApplicationSet. */
  readonly prefix: string
  readonly project: string
  readonly finalizers: readonly string[]
  readonly compareOptions: readonly SyncOption[]
  readonly automated: {
    readonly isOn: boolean
    readonly prune: boolean
    readonly selfHeal: boolean
    readonly allowEmpty: boolean
  }
  readonly syncOptions: readonly SyncOption[]
  /** `undefined` when it is not there: five attempts. */
  readonly retry: ArgoRetry | undefined
  readonly ignoreDifferences: readonly IgnoredDifference[]
  readonly sources: readonly ArgoSource[]
  /** Argo CD writes what they make to a branch, and applies that. */
  readonly isHydrated: boolean
  /** Labels and annotations that it writes to the namespace of the destination. */
  readonly namespaceMetadata: readonly string[]
  /** Of objects that name no namespace; '' when it says none. */
  readonly namespace: string
  /** The address or else the name of the cluster; '' when it says none. */
  readonly cluster: string
}

export const SYNC_OPTIONS_ANNOTATION = 'argocd.argoproj.io/sync-options'
const COMPARE_OPTIONS_ANNOTATION = 'argocd.argoproj.io/compare-options'

/** The denial names the field that has the wrong type. */
export function readApplication(object: ReviewedObject): Reading<ArgoApplication> {
  const isSet = object.resource === 'applicationsets'
  return reading(asStored(object), (root) => {
    const holder = isSet ? root.mapping('spec').mapping('template') : root
    return readParts(object, isSet ? 'spec.template.' : '', holder)
  })
}

function readParts(object: ReviewedObject, prefix: string, holder: FieldReader): ArgoApplication {
  const metadata = holder.mapping('metadata')
  const spec = holder.mapping('spec')
  const policy = spec.mapping('syncPolicy')
  const annotations = metadata.texts('annotations')
  const optionPath = `${prefix}spec.syncPolicy.syncOptions`
  return {
    object,
    prefix,
    project: spec.text('project'),
    finalizers: metadata.textList('finalizers'),
    compareOptions: optionsOf(annotations, COMPARE_OPTIONS_ANNOTATION, prefix),
    automated: readAutomated(policy),
    syncOptions: policy
      .textList('syncOptions')
      .map((text, index) => syncOption(text, `${optionPath}[${index}]`)),
    retry: policy.has('retry') ? readRetry(policy.mapping('retry')) : undefined,
    ignoreDifferences: spec.mappings('ignoreDifferences').map((entry, index) => ({
      path: `${prefix}spec.ignoreDifferences[${index}]`,
      group: entry.text('group'),
      kind: entry.text('kind'),
      name: entry.text('name'),
      namespace: entry.text('namespace'),
      pointers: entry.textList('jsonPointers'),
      queries: entry.textList('jqPathExpressions'),
      managers: entry.textList('managedFieldsManagers'),
    })),
    sources: readSources(spec, prefix),
    isHydrated: spec.has(HYDRATOR),
    namespaceMetadata: readNamespaceMetadata(policy.mapping('managedNamespaceMetadata')),
    namespace: spec.mapping('destination').text('namespace'),
    cluster: readCluster(spec.mapping('destination')),
  }
}

const OWN_CLUSTER = 'https://kubernetes.default.svc'

/** Argo CD calls its own cluster so where nobody gave it another name. */
function readCluster(destination: FieldReader): string {
  const [server, name] = [destination.text('server'), destination.text('name')]
  if (server !== '') return server.endsWith('/') ? server.slice(0, -1) : server
  return name === 'in-cluster' ? OWN_CLUSTER : name
}

function readAutomated(policy: FieldReader): ArgoApplication['automated'] {
  const automated = policy.mapping('automated')
  const isSwitchedOff = automated.has('enabled') && !automated.flag('enabled')
  return {
    isOn: policy.has('automated') && !isSwitchedOff,
    prune: automated.flag('prune'),
    selfHeal: automated.flag('selfHeal'),
    allowEmpty: automated.flag('allowEmpty'),
  }
}

function readNamespaceMetadata(metadata: FieldReader): readonly string[] {
  return [...metadata.texts('labels').keys(), ...metadata.texts('annotations').keys()]
}

const HYDRATOR = 'sourceHydrator'

function readSources(spec: FieldReader, prefix: string): readonly ArgoSource[] {
  // Argo CD passes over the others where there is this one.
  if (spec.has(HYDRATOR))
    return [readSource(spec.mapping(HYDRATOR).mapping('drySource'), `${prefix}spec.${HYDRATOR}.drySource`)]
  const several = spec
    .mappings('sources')
    .map((source, index) => readSource(source, `${prefix}spec.sources[${index}]`))
  // Argo CD passes over `source` where there are `sources`.
  if (several.length > 0 || !spec.has('source')) return several
  return [readSource(spec.mapping('source'), `${prefix}spec.source`)]
}

const MAKERS = ['chart', 'helm', 'plugin'] as const

function readSource(source: FieldReader, path: string): ArgoSource {
  const directory = source.mapping('directory')
  return {
    path,
    folder: folderOf(source.text('path')),
    isRecursive: directory.flag('recurse'),
    include: directory.text('include'),
    exclude: directory.text('exclude'),
    madeBy: MAKERS.find((maker) => source.has(maker)) ?? '',
    repository: source.text('repoURL'),
    revision: source.text('targetRevision') || 'HEAD',
    changedBy: readChanges(source.mapping('kustomize')),
  }
}

/** Keys that choose images and tools, or say how another key is meant. */
const HARMLESS: ReadonlySet<string> = new Set([
  'images',
  'version',
  'kubeVersion',
  'apiVersions',
  'forceCommonLabels',
  'forceCommonAnnotations',
  'commonAnnotationsEnvsubst',
  'labelWithoutSelector',
  'labelIncludeTemplates',
  'ignoreMissingComponents',
])

function readChanges(kustomize: FieldReader): readonly string[] {
  return kustomize.keys().filter((key) => !HARMLESS.has(key) && !isEmpty(kustomize.raw(key)))
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === '' || ['[]', '{}'].includes(JSON.stringify(value))
}

/** `./modules/` is `modules`. */
function folderOf(path: string): string {
  return path
    .split('/')
    .filter((part) => part !== '' && part !== '.')
    .join('/')
}

/** Options of an object's own annotation. */
export function optionsOf(
  annotations: ReadonlyMap<string, string>,
  annotation: string,
  prefix: string,
): readonly SyncOption[] {
  const texts = (annotations.get(annotation) ?? '').split(',').filter((text) => text.trim() !== '')
  return texts.map((text) => syncOption(text, `${prefix}metadata.annotations[${JSON.stringify(annotation)}]`))
}

function syncOption(text: string, path: string): SyncOption {
  const [name = '', ...value] = text.trim().split('=')
  return { name, value: value.join('='), path }
}

/** Defaults of Argo CD 3.1. */
const BACKOFF = { seconds: 5, factor: 2, mostSeconds: 180 }
export const DEFAULT_ATTEMPTS = 5
/** A loop of attempts longer than this is told as endless. */
const MAX_ATTEMPTS = 1000

function readRetry(retry: FieldReader): ArgoRetry {
  const backoff = retry.mapping('backoff')
  const limit = retry.integer('limit') ?? 0
  const seconds = secondsOf(backoff, 'duration', BACKOFF.seconds)
  const most = secondsOf(backoff, 'maxDuration', BACKOFF.mostSeconds)
  const factor = backoff.integer('factor') ?? BACKOFF.factor
  const isPlain = seconds !== undefined && most !== undefined && limit >= 0 && limit <= MAX_ATTEMPTS
  const lastsSeconds = isPlain ? attemptsLast(limit, seconds, factor, most) : undefined
  return { limit, lastsSeconds, isRefreshed: retry.flag('refresh') }
}

/** duration * factor^n before the n-th retry, at most maxDuration (0: no most). */
export function attemptsLast(
  limit: number,
  seconds = BACKOFF.seconds,
  factor = BACKOFF.factor,
  most = BACKOFF.mostSeconds,
): number {
  let sum = 0
  for (let attempt = 1; attempt <= limit; attempt += 1) {
    const wait = seconds * factor ** attempt
    sum += most > 0 ? Math.min(most, wait) : wait
  }
  return sum
}

/** `5s`, `3m`, `1h`, or seconds without a unit. */
function secondsOf(backoff: FieldReader, key: string, missing: number): number | undefined {
  const text = backoff.text(key)
  if (text === '') return missing
  const match = /^(\d{1,6})(s|m|h)?$/.exec(text)
  if (match === null) return undefined
  const [, digits = '0', unit = 's'] = match
  return Number(digits) * (unit === 'h' ? 3600 : unit === 'm' ? 60 : 1)
}
