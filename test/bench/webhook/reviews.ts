// AdmissionReviews as kube-apiserver sends them when a pipeline appends a version: object before and after, managedFields and all,
// each of another Module and another user. And one with a list as long as a request may have.
import { randomUUID } from 'node:crypto'
import { moduleName, NAMESPACES, benchModule, repositoryPath, versionOf } from './modules.ts'

const UID = '0f1c5b4a-0000-4000-8000-000000000000'

/** Appends version number `versions` to Module number `index`, by its own pipeline. */
export function appendReview(forge: string, index: number, versions: number): object {
  const before = stored(forge, index, versions)
  const after = stored(forge, index, versions + 1)
  return review(index, before, after, publisherOf(forge, index, versionOf(versions)))
}

/** Some 3 MB: before and after with a list of 60,000, and one more is appended. WH-V11 denies it, and every other rule is asked. */
export function largeReview(forge: string, index: number): object {
  const before = plainList(stored(forge, index, LARGE_LIST))
  const after = plainList(stored(forge, index, LARGE_LIST + 1))
  return review(index, before, after, publisherOf(forge, index, versionOf(LARGE_LIST)))
}

const LARGE_LIST = 60_000

/** As OpenDepot's own definition has it: one list, managed as a whole. More of the review is versions then. */
function plainList(module: Stored): Stored {
  const fields = { 'f:spec': { '.': {}, 'f:moduleConfig': {}, 'f:versions': {} } }
  return {
    ...module,
    metadata: { ...module.metadata, managedFields: [{ manager: 'bench', fieldsV1: fields }] },
  }
}

type Stored = { readonly metadata: Record<string, unknown> }

function stored(forge: string, index: number, versions: number): Stored {
  const module = Object(benchModule('sallyport', forge, index, versions))
  return {
    ...module,
    metadata: {
      ...module.metadata,
      uid: UID.replace(/^.{8}/, String(index).padStart(8, '0')),
      resourceVersion: '1234',
      generation: 1,
      creationTimestamp: '2026-11-21T12:00:00Z',
      managedFields: [
        {
          manager: 'bench',
          operation: 'Update',
          apiVersion: module.apiVersion,
          time: '2026-11-21T12:00:00Z',
          fieldsType: 'FieldsV1',
          fieldsV1: fieldsOf(versions),
        },
      ],
    },
  }
}

/** As the list-map of versions is managed: an entry for each. */
function fieldsOf(versions: number): object {
  const entries = Array.from({ length: versions }, (_, version) => [
    `k:{"version":"${versionOf(version)}"}`,
    { '.': {}, 'f:version': {} },
  ])
  return {
    'f:spec': { '.': {}, 'f:moduleConfig': {}, 'f:versions': { '.': {}, ...Object.fromEntries(entries) } },
  }
}

function publisherOf(forge: string, index: number, version: string): object {
  const path = repositoryPath(index)
  const extra = {
    'authentication.kubernetes.io/credential-id': [`JTI=${randomUUID()}`],
    'sallyport.dev/source': [`${forge}/${path}`],
    'sallyport.dev/repository': [path],
    'sallyport.dev/repository-id': [String(1000 + index)],
    'sallyport.dev/ref': [`refs/tags/v${version}`],
    'sallyport.dev/sha': ['8f1e3b0c9d2a4e5f60718293a4b5c6d7e8f90a1b'],
  }
  return {
    username: `ci:gitlab:${path}`,
    uid: `gitlab:${1000 + index}`,
    groups: ['ci:publishers', 'system:authenticated'],
    extra,
  }
}

function review(index: number, oldObject: object, object: object, userInfo: object): object {
  const kind = { group: 'opendepot.defdev.io', version: 'v1alpha1', kind: 'Module' }
  const resource = { group: 'opendepot.defdev.io', version: 'v1alpha1', resource: 'modules' }
  return {
    kind: 'AdmissionReview',
    apiVersion: 'admission.k8s.io/v1',
    request: {
      uid: randomUUID(),
      kind,
      resource,
      requestKind: kind,
      requestResource: resource,
      name: moduleName('sallyport', index),
      namespace: NAMESPACES.sallyport,
      operation: 'UPDATE',
      userInfo,
      object,
      oldObject,
      dryRun: false,
      options: { kind: 'UpdateOptions', apiVersion: 'meta.k8s.io/v1', fieldManager: 'bench' },
    },
  }
}
