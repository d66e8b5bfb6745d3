// Reads both states and what is beside them, asks the rules, prints. Nothing here knows a rule.
import { writeFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import type { BreakGlassVerb } from '#core/module/change.ts'
import { quoted } from '#core/module/printable.ts'
import { githubOf } from '#core/review/print/github.ts'
import { gitlabOf } from '#core/review/print/gitlab.ts'
import { jsonOf } from '#core/review/print/json.ts'
import { sarifOf } from '#core/review/print/sarif.ts'
import { textOf } from '#core/review/print/text.ts'
import { review } from '#core/review/review.ts'
import type { Review } from '#core/review/review.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { InputFailure } from '../input_failure.ts'
import { readVersion } from '../program.ts'
import { REVIEW_FORMATS } from '../review.ts'
import type { ReviewFlags, ReviewFormat } from '../review.ts'
import {
  APPLICATIONS,
  POLICIES,
  hasAny,
  policiesIn,
  readAround,
  readLedgerFile,
  readUserFile,
} from './context_files.ts'
import type { FileTree } from './file_tree.ts'
import { folderTree } from './folder_tree.ts'
import { gitTree, readRange } from './git_tree.ts'
import { progress } from './progress.ts'
import { readStates } from './states.ts'
import { isBelow } from './unrendered.ts'

/** Exit codes: ok when nothing is denied, denied, usage when the command or what it reads is no good. */
export async function runReview(
  paths: readonly string[],
  flags: ReviewFlags,
  io: CommandIo,
): Promise<ExitCode> {
  const usage = usageProblem(paths, flags)
  if (usage !== undefined) {
    io.stderr.write(`error: ${usage} (see sallyport review --help)\n`)
    return EXIT.usage
  }
  try {
    const reports = reportsOf(flags)
    const result = await reviewed(paths, flags, io)
    for (const { format, file } of reports) writeReport(resolve(io.cwd, file), printed(result, format))
    io.stdout.write(printed(result, flags.format))
    return exitCodeOf(result)
  } catch (error) {
    if (!(error instanceof InputFailure)) throw error
    io.stderr.write(`error: ${error.message}\n`)
    return EXIT.usage
  }
}

function usageProblem(paths: readonly string[], flags: ReviewFlags): string | undefined {
  const { git, user, ledger, policy, application, may } = flags
  if (git === undefined && paths.length !== 2) return 'name OLD and NEW, or --git BASE..HEAD'
  const files = [...(git === undefined ? paths : []), user, ledger, ...(policy ?? []), ...(application ?? [])]
  if (files.filter((file) => file === '-').length > 1)
    return 'standard input can be one of the files, not two'
  if (git !== undefined && paths.includes('-')) return '- is no path of a repository'
  const verb = may?.find((name) => !isVerb(name))
  return verb === undefined ? undefined : `--may is ${quoted(verb)}: write unpublish or migrate`
}

type Report = { readonly format: ReviewFormat; readonly file: string }

function reportsOf({ report }: ReviewFlags): readonly Report[] {
  return (report ?? []).map((text) => {
    const [name, ...rest] = text.split('=')
    const format = REVIEW_FORMATS.find((one) => one === name)
    const file = rest.join('=')
    if (format === undefined || file === '') {
      throw new InputFailure(`--report is ${quoted(text)}: write ${REVIEW_FORMATS.join(', ')}, = and a file`)
    }
    return { format, file }
  })
}

function writeReport(file: string, text: string): void {
  try {
    writeFileSync(file, text)
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'failed'
    throw new InputFailure(`--report: ${quoted(file)} cannot be written (${reason})`, { cause: error })
  }
}

function isVerb(text: string): text is BreakGlassVerb {
  return text === 'unpublish' || text === 'migrate'
}

async function reviewed(paths: readonly string[], flags: ReviewFlags, io: CommandIo): Promise<Review> {
  const user = flags.user === undefined ? undefined : await readUserFile(flags.user, io)
  const ledger = flags.ledger === undefined ? [] : await readLedgerFile(flags.ledger, io)
  const policyFiles = await readAround(flags.policy ?? [], POLICIES, io)
  const applications = await readAround(flags.application ?? [], APPLICATIONS, io)
  const trees = await readTrees(paths, flags, io)
  const around = [...applications, ...policyFiles]
  const states = await readStates(trees.before, trees.after, applications, io.env)
  if (policyFiles.length === 0 && !hasAny([...states.before.documents, ...states.after.documents], POLICIES))
    io.stderr.write(NO_POLICY)
  return review({
    ...states,
    around,
    policies: policiesIn(policyFiles),
    ledger,
    user,
    mayDo: new Set((flags.may ?? []).filter(isVerb)),
    atSeconds: Math.floor(io.clock() / 1000),
    namespace: flags.namespace,
    isPruned: flags.prune === true,
  })
}

const NO_POLICY = `warning: there is no ModulePolicy, so the rules of one are not asked (who may publish, pins, what never changes)
    -> name their folder beside the Modules', or --policy FILE
`

type Trees = { readonly before: FileTree; readonly after: FileTree }

async function readTrees(paths: readonly string[], flags: ReviewFlags, io: CommandIo): Promise<Trees> {
  const { seen, end } = progress(io)
  try {
    return flags.git === undefined
      ? await fromFiles(paths, io, seen)
      : await fromGit(flags.git, paths, io, seen)
  } finally {
    end()
  }
}

async function fromFiles(
  [oldPath = '', newPath = '']: readonly string[],
  io: CommandIo,
  seen: (files: number) => void,
): Promise<Trees> {
  // Both sides of one file have one name, so that nothing seems to have moved.
  const label = basename(newPath === '-' ? oldPath : newPath)
  const before = await folderTree(oldPath, label, io, seen)
  return { before, after: await folderTree(newPath, label, io, seen) }
}

async function fromGit(
  range: string,
  paths: readonly string[],
  io: CommandIo,
  seen: (files: number) => void,
): Promise<Trees> {
  const place = { cwd: io.cwd, env: io.env }
  const { base, head } = await readRange(range, place)
  const before = await gitTree(base, paths, place, seen)
  const after = await gitTree(head, paths, place, seen)
  const missing = before.roots.filter((root) => ![before, after].some((tree) => hasAnythingBelow(tree, root)))
  const names = missing.map(quoted).join(', ')
  if (missing.length > 0 && missing.length === before.roots.length)
    throw new InputFailure(`neither commit has a manifest at ${names}`)
  // A misspelt one would leave out what it should name.
  if (missing.length > 0) io.stderr.write(`warning: neither commit has a manifest at ${names}\n`)
  return { before, after }
}

function hasAnythingBelow({ files, unread }: FileTree, folder: string): boolean {
  return [...files, ...unread].some(({ within }) => isBelow(within, folder))
}

function printed(result: Review, format: ReviewFormat): string {
  switch (format) {
    case 'text':
      return textOf(result)
    case 'json':
      return jsonOf(result)
    case 'sarif':
      return sarifOf(result, readVersion())
    case 'github':
      return githubOf(result)
    case 'gitlab':
      return gitlabOf(result)
  }
}

/** What could not be read is no verdict of a rule. */
function exitCodeOf({ findings, isIncomplete }: Review): ExitCode {
  const denials = findings.filter(({ severity }) => severity === 'deny')
  if (denials.some(({ object }) => object !== '')) return EXIT.denied
  return isIncomplete ? EXIT.usage : EXIT.ok
}
