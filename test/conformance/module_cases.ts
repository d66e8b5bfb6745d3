// The conformance table: what somebody types at which stored object, and what comes of it at each door. The rows are in
// module_cases_*.ts, by the letters of the rules; this is what a row is made of.
import type { RuleId } from '../../src/core/module/rule_id.ts'
import type { GitHubJob } from '../support/kube_hands.ts'
import type { ActorName } from './module_actors.ts'
import type { PolicyName } from './module_policies.ts'

export type Json = { readonly [key: string]: unknown }

export type Door = 'offline' | 'vap' | 'webhook'

/** What a door says of one command: rules by what they do. Nothing at all: let through in silence. */
export type Expectation = {
  /** Refused with 403. */
  readonly forbidden?: readonly RuleId[]
  /** Refused as malformed: 422, unless something is forbidden too. */
  readonly invalid?: readonly RuleId[]
  /** Would be refused, but its mode (or an exception) makes it a warning. */
  readonly warns?: readonly RuleId[]
  /** Let through in every mode, and told. */
  readonly told?: readonly RuleId[]
  /** Let through, and only in the audit log. */
  readonly audits?: readonly RuleId[]
}

/** Why a door cannot say what the rules say. */
type BlindReason = keyof typeof BLIND_REASONS

export const BLIND_REASONS = {
  user: 'who asks is not in a file',
  rights: 'what somebody may do is asked of the cluster',
  subresource: 'a file has no status',
  deletion: 'a file that goes does not say whether its object does',
  ledger: 'what was published before is not in the object',
  'other objects': 'it is about another object',
  language: 'an expression of another language is not read by one',
  cost: 'comparing every version with every other is more than an expression may cost',
  audit:
    'what is written down cannot ask for the verb, so whoever breaks the glass is written down with the rule',
  exception: 'an expression knows no time, so what has an exception is left to the webhook',
} as const

export type Row = {
  /** Of the Module, and of the row: no two rows have one. */
  readonly name: string
  /** `WH-V1 a version is taken out of the list by JSON patch`. */
  readonly title: string
  /** Which policy covers its namespace. */
  readonly policy: PolicyName
  /** The Module beforehand; not there when absent. */
  readonly stored?: ModuleEdit | undefined
  /** How it was written; `apply` when absent. `apply --server-side` with that field manager for any other text. */
  readonly storedBy?: 'create' | 'ci-a'
  /** What else is there. Names and namespaces are filled in where they are absent. */
  readonly beside?: readonly Json[]
  /** Lines of the ledger from before, by plain version. */
  readonly ledger?: Readonly<Record<string, LedgerLine>>
  /** What it is about where that is no object of the row's name: such rows are typed one after the other, at the end. */
  readonly about?: string
  readonly actor: ActorName | GitHubJob
  /** A line of shell: `$M` is the Module, `$NS` its namespace, `-f -` reads `input`. */
  readonly run: string
  readonly input?: ModuleEdit | { readonly object: Json }
  readonly expect: Expectation
  /** The printed way out, run by the same hands, has to work; then `run` itself, where it says so. */
  readonly wayOut?: 'instead' | 'and then'
  /** What the sentence has to hold beside the rules. */
  readonly says?: RegExp
  /** What a door says that cannot see it all, and why. What it does see as the webhook does has no entry here. */
  readonly blind?: Partial<Record<'offline' | 'vap', readonly [BlindReason, Expectation]>>
  /** With the plain list of OpenDepot's own definition: something else, or the server itself refuses. */
  readonly atomic?: Expectation | 'conflict'
}

type LedgerLine = {
  readonly state: 'present' | 'pruned' | 'unpublished'
  readonly immutable: boolean
  readonly source?: string
  readonly sourceId?: string
  readonly commit?: string
  readonly digest?: string
}

/** Over one valid Module: immutable, zip, in S3, versions 1.0.0 and 1.1.0, from a repository of its own name. */
export type ModuleEdit = {
  readonly versions?: readonly (string | Json)[]
  /** Over the fields of moduleConfig; `undefined` takes one away. */
  readonly config?: Json
  readonly spec?: Json
  readonly labels?: Json
  readonly annotations?: Json
  readonly finalizers?: readonly string[]
  readonly status?: Json
}

/** The same without `immutable: true`. */
export const MUTABLE = { config: { immutable: undefined } } as const satisfies ModuleEdit

export function moduleManifest(row: Pick<Row, 'name' | 'policy'>, edit: ModuleEdit): Json {
  const { labels, annotations, finalizers, status } = edit
  return defined({
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Module',
    metadata: defined({ name: row.name, namespace: row.policy, labels, annotations, finalizers }),
    spec: {
      moduleConfig: defined({
        name: row.name,
        provider: 'aws',
        repoOwner: 'acme',
        repoUrl: `https://github.com/acme/${row.name}`,
        fileFormat: 'zip',
        immutable: true,
        storageConfig: { s3: { bucket: 'acme-modules', region: 'us-west-2' } },
        ...edit.config,
      }),
      versions: (edit.versions ?? ['1.0.0', '1.1.0']).map((entry) =>
        typeof entry === 'string' ? { version: entry } : entry,
      ),
      ...edit.spec,
    },
    status,
  })
}

/** What kubectl reads from its standard input; '' where the row has nothing to read. */
export function inputOf(row: Row): string {
  if (row.input === undefined) return ''
  return JSON.stringify(
    'object' in row.input ? placed(row, row.input.object) : moduleManifest(row, row.input),
  )
}

/** An object of a row: named like its Module and in its namespace, where it does not say another. */
export function placed(row: Pick<Row, 'name' | 'policy'>, object: Json): Json {
  const metadata = { name: row.name, namespace: row.policy, ...Object(object['metadata']) }
  return { ...object, metadata: defined(metadata) }
}

export function versionManifest(row: Pick<Row, 'name'>, version: string, edit: Json = {}): Json {
  const { metadata, spec, status } = edit
  return defined({
    apiVersion: 'opendepot.defdev.io/v1alpha1',
    kind: 'Version',
    metadata: {
      name: `${row.name}-${version.replaceAll('.', '-')}`,
      labels: { 'opendepot.defdev.io/module': row.name },
      ...Object(metadata),
    },
    spec: {
      type: 'Module',
      version,
      fileName: 'f3b1.zip',
      moduleConfigRef: { name: row.name, provider: 'aws', fileFormat: 'zip', immutable: true },
      ...Object(spec),
    },
    status,
  })
}

function defined(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

/** What this door has to say of the row. */
export function expectedAt(row: Row, door: Door): Expectation {
  const blind = door === 'webhook' ? undefined : row.blind?.[door]
  return blind === undefined ? row.expect : blind[1]
}
