// Does what a Dockerfile says, without Docker: each RUN in a root of its own, on top of this machine's files, which stand
// in for the base image of a stage that runs something; COPY as .dockerignore allows. A stage that runs nothing gets what
// is copied into it, and no base image. An instruction or a pattern that it does not know is an error. Needs root.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { Copy, DockerfileParser, Entrypoint, From } from 'dockerfile-ast'
import type { Instruction, JSONInstruction } from 'dockerfile-ast'

export type DockerfileOptions = {
  /** Paths on this machine. */
  readonly dockerfile: string
  readonly context: string
  /** An empty folder, kept by the caller. */
  readonly scratch: string
  /** Of the processes of RUN. */
  readonly env: Readonly<Record<string, string>>
}

export type DockerImage = {
  /** As FROM names them, with the defaults of ARG put in. */
  readonly bases: readonly string[]
  /** Path in the last image -> where it lies on this machine. */
  readonly content: Readonly<Record<string, string>>
  readonly user: string
  readonly entrypoint: readonly string[]
  readonly labels: string
  /** What ran, in order. */
  readonly ran: readonly string[]
}

type Stage = {
  readonly name: string | undefined
  readonly base: string
  readonly steps: readonly Instruction[]
}

/** Rejects when a step fails, with what it wrote. */
export function buildDockerfile(options: DockerfileOptions): DockerImage {
  const file = DockerfileParser.parse(readFileSync(options.dockerfile, 'utf8'))
  const stages = stagesOf(file.getInstructions())
  const [last, ...more] = stages.toReversed()
  if (last === undefined) throw new Error('the Dockerfile has no stage')
  const ran: string[] = []
  for (const stage of more.toReversed()) ran.push(...runStage(stage, wantedFrom(stage, last), options))
  const only = (keyword: string): Instruction => {
    const [first, ...others] = last.steps.filter((step) => step.getKeyword() === keyword)
    if (first === undefined || others.length > 0) throw new Error(`not one ${keyword} in the last stage`)
    return first
  }
  for (const step of last.steps) {
    if (!['LABEL', 'COPY', 'USER', 'ENTRYPOINT'].includes(step.getKeyword()))
      throw new Error(`${step.getKeyword()} in the last stage is not understood`)
  }
  const entrypoint = only('ENTRYPOINT')
  if (!(entrypoint instanceof Entrypoint)) throw new Error('ENTRYPOINT is not read any more')
  return {
    bases: stages.map(({ base }) => base),
    content: Object.fromEntries(
      copiesOf(last).map(({ sources: [source = ''], target, from }) => [
        target,
        takenFolder(options, from, source),
      ]),
    ),
    user: only('USER').getArgumentsContent() ?? '',
    entrypoint: wordsOf(entrypoint),
    labels: only('LABEL').getArgumentsContent() ?? '',
    ran,
  }
}

function stagesOf(instructions: readonly Instruction[]): readonly Stage[] {
  const defaults = new Map<string, string>()
  const stages: { name: string | undefined; base: string; steps: Instruction[] }[] = []
  for (const instruction of instructions) {
    const open = stages.at(-1)
    if (instruction instanceof From) {
      const base = (instruction.getImage() ?? '').replace(
        /^\$\{(\w+)\}$/,
        (_all, name: string) => defaults.get(name) ?? '',
      )
      stages.push({ name: instruction.getBuildStage() ?? undefined, base, steps: [] })
    } else if (open !== undefined) open.steps.push(instruction)
    else if (instruction.getKeyword() === 'ARG') {
      const [name = '', value = ''] = (instruction.getArgumentsContent() ?? '').split('=')
      defaults.set(name, value)
    } else throw new Error(`${instruction.getKeyword()} before FROM is not understood`)
  }
  return stages
}

type CopyStep = {
  readonly from: string | undefined
  readonly sources: readonly string[]
  readonly target: string
}

function copyOf(step: Copy): CopyStep {
  const words = step.getArguments().map((argument) => argument.getValue())
  const flags = step.getFlags().map((flag) => `${flag.getName()}=${flag.getValue()}`)
  const unknown = flags.filter((flag) => !/^(?:from=\w+|chown=0:0)$/.test(flag))
  if (unknown.length > 0) throw new Error(`COPY --${unknown.join(' --')} is not understood`)
  const from = flags.find((flag) => flag.startsWith('from='))?.slice('from='.length)
  return { from, sources: words.slice(0, -1), target: words.at(-1) ?? '' }
}

function copiesOf(stage: Stage): readonly CopyStep[] {
  return stage.steps.flatMap((step) => (step instanceof Copy ? [copyOf(step)] : []))
}

function wordsOf(step: JSONInstruction): readonly string[] {
  const strings = step.getJSONStrings().map((string) => string.getJSONValue())
  if (strings.length === 0) throw new Error(`${step.getKeyword()} is not in its exec form`)
  return strings
}

/** What the last stage takes out of this one. */
function wantedFrom(stage: Stage, last: Stage): readonly string[] {
  return copiesOf(last).flatMap(({ from, sources }) => (from === stage.name ? sources : []))
}

function takenFolder({ scratch }: DockerfileOptions, stage: string | undefined, path: string): string {
  if (stage === undefined) throw new Error('the last stage copies from the context')
  return join(scratch, 'taken', stage, path)
}

/** All of a stage in one mount namespace: its files are in memory, and gone with it. */
function runStage(stage: Stage, wanted: readonly string[], options: DockerfileOptions): readonly string[] {
  const name = stage.name ?? 'stage'
  const sent = join(options.scratch, 'context', name)
  let folder = '/'
  const ran: string[] = []
  const lines = stage.steps.flatMap((step): readonly string[] => {
    const text = step.getArgumentsContent() ?? ''
    if (step instanceof Copy) {
      const { sources, target, from } = copyOf(step)
      if (from !== undefined) throw new Error(`${name} copies from another stage`)
      const place = join(sent, String(ran.length))
      for (const source of sources) sendContext(options.context, source, place)
      return [`cp -a ${quote(`${place}/.`)} "$1"${quote(join(folder, target))}`]
    }
    switch (step.getKeyword()) {
      case 'WORKDIR':
        folder = text
        return [`mkdir -p "$1"${quote(text)}`]
      case 'RUN': {
        ran.push(text)
        const variables = Object.entries(options.env).map(([key, value]) => quote(`${key}=${value}`))
        const script = `cd ${quote(folder)} && ${text}`
        return [`chroot "$1" env -i ${variables.join(' ')} sh -ec ${quote(script)} >&2`]
      }
      default:
        throw new Error(`${step.getKeyword()} is not understood`)
    }
  })
  const taken = wanted.flatMap((path) => {
    const target = takenFolder(options, name, path)
    mkdirSync(dirname(target), { recursive: true })
    return [`cp -a "$1"${quote(path)} ${quote(target)}`]
  })
  const layers = join(options.scratch, 'layers')
  const merged = join(options.scratch, 'root')
  mkdirSync(layers)
  mkdirSync(merged)
  const script = [
    'set -eu',
    `mount -t tmpfs -o size=4g layers ${quote(layers)}`,
    `cd ${quote(layers)} && mkdir upper work`,
    `mount -t overlay -o lowerdir=/,upperdir=${layers}/upper,workdir=${layers}/work stage "$1"`,
    'mount -t proc proc "$1/proc" && mount --bind /dev "$1/dev"',
    // An image has no file of the machine's user there, and no packed one of an earlier build.
    'mount -t tmpfs tmp "$1/tmp"',
    ...lines,
    ...taken,
  ].join('\n')
  const namespace = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'build', merged]
  execFileSync('unshare', namespace, { stdio: 'pipe', maxBuffer: 64 * 1024 * 1024 })
  return ran
}

/** What of the context goes to the builder: everything but what .dockerignore keeps back. */
function sendContext(context: string, source: string, target: string): void {
  const allowed = allowedBy(readFileSync(join(context, '.dockerignore'), 'utf8'))
  mkdirSync(target, { recursive: true })
  if (source !== '.' && !allowed.includes(source)) throw new Error(`${source} is kept back by .dockerignore`)
  for (const path of source === '.' ? allowed : [source]) {
    // As with Docker, an exception for what is not there is none.
    if (existsSync(join(context, path)))
      cpSync(join(context, path), join(target, path), { recursive: true, preserveTimestamps: true })
  }
}

function allowedBy(ignore: string): readonly string[] {
  const patterns = ignore.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
  if (patterns[0] !== '*') throw new Error('.dockerignore does not begin with everything')
  return patterns.slice(1).map((pattern) => {
    if (!/^![\w./-]+$/.test(pattern)) throw new Error(`${pattern} in .dockerignore is not understood`)
    return pattern.slice(1)
  })
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
