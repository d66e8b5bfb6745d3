// What kube-apiserver sent for each row of the table, kept in test/fixtures/module-conformance.jsonl: one line a row, without
// what differs from run to run. The webhook's run on a real server checks it, and writes it anew with
// SALLYPORT_RECORD_CONFORMANCE=1.
import { readFileSync, writeFileSync } from 'node:fs'
import type { Json, Row } from './module_cases.ts'

const FILE = new URL('../fixtures/module-conformance.jsonl', import.meta.url)

type Recorded = { readonly row: string; readonly request: Json }

export function recordedRequests(): ReadonlyMap<string, Json> {
  const lines = readFileSync(FILE, 'utf8').trimEnd().split('\n')
  const records = lines.map((line): Recorded => JSON.parse(line))
  return new Map(records.map(({ row, request }) => [row, request]))
}

export function writeRecorded(records: readonly Recorded[]): void {
  writeFileSync(FILE, records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}

/** Collects one record a row. `done` is called when a row has been typed. */
export function recording(requests: readonly Json[]): {
  readonly done: (row: Row) => void
  records(rows: readonly Row[]): readonly Recorded[]
} {
  const records = new Map<string, Recorded>()
  let before = 0
  return {
    done: (row) => {
      // Rows about what others need too come one by one.
      const asked = row.about === undefined ? requests : requests.slice(before)
      const request = asked.find((candidate) => isAbout(row, candidate))
      if (request !== undefined) records.set(row.name, { row: row.name, request: settled(request) })
      before = requests.length
    },
    records: (rows) => rows.flatMap(({ name }) => records.get(name) ?? []),
  }
}

function isAbout(row: Row, request: Json): boolean {
  const { name } = Object(Object(request['object'] ?? request['oldObject'])['metadata'])
  return isObjectOf(row, String(name), request['namespace'])
}

/** A Version is called like its Module and its version. */
export function isObjectOf(row: Row, name: string, namespace: unknown): boolean {
  if (row.about !== undefined) return name === row.about
  if (namespace !== row.policy || !name.startsWith(row.name)) return false
  return /^(?:-main|-\d+-\d+-\d+)?$/.test(name.slice(row.name.length))
}

const RUN_FIELDS = new Set([
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'lastTransitionTime',
  'managedFields',
  'requestKind',
  'requestResource',
  'requestSubResource',
  'options',
  'kubectl.kubernetes.io/last-applied-configuration',
])

/** What is another one in each run goes, and credentials are numbered alike. */
function settled(value: Json): Json {
  const entries = Object.entries(value)
    .filter(([key, inner]) => !RUN_FIELDS.has(key) && inner !== null)
    .map(([key, inner]) => [key, key === CREDENTIAL ? [withoutNumber(inner)] : settledValue(inner)] as const)
  return Object.fromEntries(entries.filter(([key, inner]) => key !== 'annotations' || !isEmpty(inner)))
}

const CREDENTIAL = 'authentication.kubernetes.io/credential-id'

function withoutNumber(ids: unknown): string {
  const [id] = Array.isArray(ids) ? ids : []
  return `${String(id).split('=')[0]}=1`
}

function settledValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(settledValue)
  return typeof value === 'object' && value !== null ? settled({ ...value }) : value
}

function isEmpty(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.keys(value).length === 0
}
