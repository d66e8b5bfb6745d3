// Runs a script as a user would, with a real shell, curl and jq, and shows what it left in its variables.
import { spawn } from 'node:child_process'
import { once } from 'node:events'

export type ShellRun = {
  readonly code: number
  /** What the script itself printed. */
  readonly stdout: string
  readonly stderr: string
  /** Values of the asked variables at the end of the script. */
  readonly variables: Readonly<Record<string, string>>
}

const MARK = '--variables--'

/** `show`: names of variables to read after the script. Forges run `run:` steps with bash. */
export async function runShell(
  script: string,
  env: Readonly<Record<string, string>>,
  show: readonly string[],
  shell: 'sh' | 'bash' = 'sh',
): Promise<ShellRun> {
  const printing = show.map((name) => `printf '%s\\0' "$${name}"`).join('\n')
  const child = spawn(shell, ['-c', `${script}\nprintf '%s\\0' '${MARK}'\n${printing}\n`], {
    env: { PATH: process.env['PATH'] ?? '', HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (output.stdout += chunk))
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (output.stderr += chunk))
  const [code] = await once(child, 'close')
  const mark = output.stdout.indexOf(MARK)
  const printed = mark < 0 ? output.stdout : output.stdout.slice(0, mark)
  const values = output.stdout.slice(mark + MARK.length + 1).split('\0')
  const variables = Object.fromEntries(show.map((name, index) => [name, values[index] ?? '']))
  return { code: Number(code), stdout: printed, stderr: output.stderr, variables }
}
