// Runs `sallyport webhook adopt`: lists, judges and tells. It needs to list what the webhook watches, and writes nothing.
import { epochSeconds } from '#core/clock.ts'
import type { PublishingObject } from '#core/module/ledger_feed.ts'
import { policyReport } from '#core/module/policy_report.ts'
import { scanObject } from '#core/module/scan_object.ts'
import type { ScanFinding, ScannedObject } from '#core/module/scan_object.ts'
import { starterPolicy } from '#core/module/starter_policy.ts'
import type { Written } from '#core/module/starter_policy.ts'
import type { NamedPolicy } from '#core/module/policy_choice.ts'
import { openKubeConnection } from '#platform/kube/kube_connection.ts'
import type { KubeConnection } from '#platform/kube/kube_connection.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { printable, printableLines } from '../printable.ts'
import type { AdoptFlags } from './adopt.ts'
import { readHeld } from './held_objects.ts'
import type { Held } from './held_objects.ts'
import { printManifests } from './manifests.ts'
import { readPolicyFiles, readPolicyList } from './policy_files.ts'
import type { PolicyRead } from './policy_files.ts'

/** Exit codes: ok whatever is found, denied where the cluster or a policy cannot be read, usage. */
export async function runAdopt(flags: AdoptFlags, io: CommandIo): Promise<ExitCode> {
  const usage = usageProblem(flags)
  if (usage !== undefined) return fail([`${usage} (see sallyport webhook adopt --help)`], io, EXIT.usage)
  const { kubeconfig, context } = flags
  const opened = await openKubeConnection({ kubeconfig, context, env: io.env })
  if (!opened.ok) return fail([printable(opened.denial.message)], io, EXIT.denied)
  try {
    const held = await readHeld(opened.value)
    if (!held.ok) return fail([held.denial], io, EXIT.denied)
    return await adopt(flags, held.value, opened.value, io)
  } finally {
    opened.value.close()
  }
}

function usageProblem({ output, starter, file }: AdoptFlags): string | undefined {
  if (output !== 'text' && output !== 'json') return '--output is text or json'
  if (starter === true && output === 'json') return '--starter prints YAML: leave --output out'
  return starter === true && file !== undefined ? '--starter and -f do not go together' : undefined
}

function fail(problems: readonly string[], io: CommandIo, code: ExitCode): ExitCode {
  for (const problem of problems) io.stderr.write(`error: ${printableLines(problem)}\n`)
  return code
}

async function adopt(
  flags: AdoptFlags,
  held: Held,
  connection: KubeConnection,
  io: CommandIo,
): Promise<ExitCode> {
  const read = await policiesToTry(flags, held, io)
  if (read.problems.length > 0) return fail(read.problems, io, EXIT.denied)
  const policies = read.policies.map(({ policy }) => policy)
  const scanned = scanAll(held, policies, io)
  if (flags.output === 'json') {
    const namespaces = new Set(scanned.map(({ object }) => object.meta.namespace))
    const items = [...namespaces].map((namespace) =>
      policyReport(
        namespace,
        scanned.filter(({ object }) => object.meta.namespace === namespace),
      ),
    )
    const list = { apiVersion: 'wgpolicyk8s.io/v1alpha2', kind: 'PolicyReportList', items }
    io.stdout.write(`${JSON.stringify(list, undefined, 2)}\n`)
    return EXIT.ok
  }
  const told = flags.starter === true ? io.stderr : io.stdout
  told.write(`${connection.place.server}: ${countText(held, policies)}\n`)
  for (const line of textOf(scanned)) told.write(`${printable(line)}\n`)
  for (const line of held.unreadable) io.stderr.write(`warning: ${printable(line)}\n`)
  if (flags.starter === true) {
    const { policy, notes } = starterPolicy(written(held), storedPolicies(held))
    io.stdout.write(printManifests(['A ModulePolicy to begin with:', ...notes], [policy]))
  } else {
    told.write(nextText(scanned, policies))
  }
  return EXIT.ok
}

async function policiesToTry({ file, starter }: AdoptFlags, held: Held, io: CommandIo): Promise<PolicyRead> {
  if (starter === true) return readPolicyList([starterPolicy(written(held), []).policy])
  return file === undefined ? readPolicyList(held.policies) : readPolicyFiles(file, io)
}

/** Those of the cluster that can be read. */
function storedPolicies({ policies }: Held): readonly NamedPolicy[] {
  return readPolicyList(policies).policies.map(({ policy }) => policy)
}

function scanAll(held: Held, policies: readonly NamedPolicy[], io: CommandIo): readonly ScannedObject[] {
  const atSeconds = epochSeconds(io.clock)
  return publishing(held)
    .map((object) => {
      const digestOf = (plain: string): string | undefined => held.digestOf(object, plain)
      return scanObject(object, { policies, factsOf: held.factsOf, digestOf, atSeconds })
    })
    .toSorted((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1))
}

function written({ modules, providers }: Held): readonly Written[] {
  return [...modules, ...providers]
}

function publishing(held: Held): readonly PublishingObject[] {
  return written(held).map(({ object }) => object)
}

/** `infra/vpc`, and of a Provider `Provider infra/aws`. */
function keyOf({ object }: ScannedObject): string {
  const key = `${object.meta.namespace}/${object.meta.name}`
  return object.kind === 'Module' ? key : `${object.kind} ${key}`
}

function countText(held: Held, policies: readonly NamedPolicy[]): string {
  const objects = publishing(held)
  const versions = objects.reduce((sum, object) => sum + object.versions.length, 0)
  const namespaces = new Set(objects.map(({ meta }) => meta.namespace)).size
  const named = policies.map(({ name }) => name).join(', ')
  return [
    `${kindsText(held.modules.length, held.providers.length)} with ${count(versions, 'version')} in ${count(namespaces, 'namespace')}`,
    policies.length === 0 ? 'no ModulePolicy' : `judged under ${named}`,
    `the ledger remembers ${count(held.remembered, 'version')}`,
  ].join('; ')
}

/** `2 Modules and 1 Provider`; what there is none of is left out. */
function kindsText(modules: number, providers: number): string {
  const ofProviders = providers === 0 ? [] : [count(providers, 'Provider')]
  return [...(modules === 0 && providers > 0 ? [] : [count(modules, 'Module')]), ...ofProviders].join(' and ')
}

function count(many: number, what: string): string {
  return `${many} ${what}${many === 1 ? '' : 's'}`
}

function textOf(scanned: readonly ScannedObject[]): readonly string[] {
  return scanned.flatMap((one) => {
    const { object, findings } = one
    if (findings.length === 0) return []
    const immutable = object.kind === 'Module' && object.config.immutable ? ', immutable' : ''
    return [
      `${keyOf(one)}  ${count(object.versions.length, 'version')}${immutable}`,
      ...findings.map(findingText),
    ]
  })
}

const WORDS: Readonly<Record<ScanFinding['result'], string>> = {
  fail: 'denied ',
  warn: 'told   ',
  skip: 'excepted',
}

function findingText({ rule, result, path, message, wayOut }: ScanFinding): string {
  return `  ${WORDS[result]} ${rule} ${path}: ${message}${wayOut === '' ? '' : `; ${wayOut}`}`
}

function nextText(scanned: readonly ScannedObject[], policies: readonly NamedPolicy[]): string {
  const failing = scanned.filter(({ findings }) => findings.some(({ result }) => result === 'fail'))
  const modules = failing.filter(({ object }) => object.kind === 'Module').length
  const verdict =
    failing.length === 0
      ? 'Nothing that is stored would be denied if it came new.'
      : `${kindsText(modules, failing.length - modules)} would be denied if new. What is stored stays as it is: rules judge what a change changes.`
  const next =
    policies.length === 0
      ? 'Next: sallyport webhook adopt --starter > policy.yaml\n'
      : 'Next: docs/webhook-install.md, from warn-first to enforce\n'
  return `${verdict}\n${next}`
}
