// Reads the file and prints what is wrong with it, with its place, as a compiler would.
import { formatFinding } from '#platform/config/finding.ts'
import { readYaml } from '#platform/config/yaml_document.ts'
import { EXIT } from '../command.ts'
import type { CommandIo, ExitCode } from '../command.ts'
import { readInput } from '../secret_input.ts'
import type { KubeLintFlags } from './lint.ts'

const MAX_FILE_BYTES = 1024 * 1024

export async function runKubeLint(file: string, flags: KubeLintFlags, io: CommandIo): Promise<ExitCode> {
  const { findings } = readYaml(file, await readInput(file, io, MAX_FILE_BYTES))
  io.stdout.write(
    flags.json === true
      ? `${JSON.stringify({ ok: findings.length === 0, problems: findings })}\n`
      : findings.map((finding) => `${formatFinding(finding)}\n`).join(''),
  )
  return findings.length === 0 ? EXIT.ok : EXIT.denied
}
