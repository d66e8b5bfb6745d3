// The table of commands: help with examples, nearest names, exit codes, completion in the shells themselves.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { COMMANDS } from '../../src/cli/command.ts'
import { folder, runCli } from '../support/cli.ts'
import type { CliRun } from '../support/cli.ts'

/** The CLI as its users start it. */
async function sallyport(...argv: readonly string[]): Promise<CliRun> {
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  execFile(process.execPath, ['src/main.ts', ...argv], (error, stdout, stderr) => {
    resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
  })
  return promise
}

const shellPath = (name: string): string | undefined =>
  (process.env['PATH'] ?? '')
    .split(':')
    .map((dir) => join(dir, name))
    .find((path) => existsSync(path))

for (const entry of COMMANDS) {
  t.test(`${entry.name} helps with at least one example`, async (t) => {
    const module = await entry.load()
    t.equal(module.name, entry.name)
    t.equal(module.summary, entry.summary)
    const run = await runCli([entry.name, '--help'])
    t.equal(run.code, 0)
    t.match(run.stdout, `Usage: sallyport ${entry.name}`)
    const [, examples = ''] = run.stdout.split('Examples:\n')
    t.match(examples, 'sallyport')
    t.match(examples, /^ {2}# /)
    t.notMatch(run.stdout, '(default: [])')
  })
}

t.test('every subcommand helps with examples of its own, and a mistake points to its help', async (t) => {
  for (const [name, subs] of [
    ['config', ['check', 'from-dex']],
    ['keys', ['list', 'rotate', 'revoke', 'flush']],
    ['emergency', ['disable', 'deny', 'lift', 'list']],
    ['store', ['migrate']],
    ['ledger', ['export', 'show', 'rebuild']],
    ['kube', ['auth-config', 'lint', 'explain', 'rbac', 'kubeconfig']],
    ['webhook', ['adopt', 'generate', 'generate webhook', 'generate vap']],
  ] as const) {
    for (const sub of subs) {
      const words = [name, ...sub.split(' ')]
      const { stdout } = await runCli([...words, '--help'])
      const lines = (stdout.split('Examples:\n')[1] ?? '')
        .split('\n')
        .filter((line) => /^ {2}[^#]/.test(line))
      t.ok(lines.length > 0, `${name} ${sub}`)
      for (const line of lines) t.match(line, `${name} ${sub}`)
      t.notMatch(stdout, '(default: [])')
      const wrong = await runCli([...words, '--nonsense'])
      t.match(wrong, { code: 2, stderr: `(see sallyport ${name} ${sub} --help)` })
    }
  }
  t.match(await runCli(['token', '--nonsense']), { code: 2, stderr: '(see sallyport token --help)' })
})

t.test('help, version and nearest names answer at the top', async (t) => {
  t.match(await sallyport('--help'), { code: 0, stdout: /exchange +exchange the job's own token/ })
  t.match(await sallyport('help', 'token'), { code: 0, stdout: /Usage: sallyport token/ })
  t.match(await sallyport('version'), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ })
  t.match(await sallyport(), { code: 2, stderr: /Usage: sallyport <command>/ })
  t.match(await sallyport('exchnage'), { code: 2, stderr: /Did you mean exchange/ })
  t.match(await sallyport('token', '--jsn', 'x'), { code: 2, stderr: /Did you mean --json/ })
  t.match(await sallyport('token', '/nonexistent/file'), { code: 1, stderr: /cannot be read/ })
})

t.test('an older Node is told so before anything is loaded that it cannot load', async (t) => {
  const manifest: { engines: { node: string } } = JSON.parse(readFileSync('package.json', 'utf8'))
  const pretend =
    'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.20.2"}})'
  const { promise, resolve } = Promise.withResolvers<CliRun>()
  execFile(
    process.execPath,
    ['--import', pretend, 'src/main.ts', 'exchange', '--help'],
    (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
    },
  )
  t.strictSame(await promise, {
    code: 1,
    stdout: '',
    stderr: `sallyport: needs Node ${manifest.engines.node.replace('>=', '>= ')}, this is 20.20.2\n`,
  })
})

t.test('the page about the command line has a section for each command', async (t) => {
  const page = readFileSync('docs/cli.md', 'utf8')
  for (const { name } of COMMANDS) t.match(page, new RegExp(`^## ${name}\\b`, 'm'), name)
})

t.test('the page about the command line has each subcommand that help shows an example of', async (t) => {
  const page = readFileSync('docs/cli.md', 'utf8')
  for (const { name } of COMMANDS) {
    const [, examples = ''] = (await runCli([name, '--help'])).stdout.split('Examples:\n')
    const shown = new Set(examples.match(/(?<=^ *sallyport )[a-z-]+ [a-z][a-z-]*(?= |$)/gm))
    for (const words of shown) t.match(page, new RegExp(`^(?:## |.*sallyport )${words}\\b`, 'm'), words)
  }
})

const bash = shellPath('bash')
t.test(
  'bash completes commands, flags and subcommands',
  { skip: bash === undefined && 'no bash here' },
  async (t) => {
    const dir = folder(t)
    const script = join(dir, 'completion.bash')
    writeFileSync(script, (await runCli(['completion', 'bash'])).stdout)
    const complete = (...line: readonly string[]): readonly string[] => {
      const list = line.map((word) => `'${word}'`).join(' ')
      const asked = `source '${script}'; COMP_WORDS=(${list}); COMP_CWORD=${line.length - 1}; _sallyport; printf '%s\\n' "\${COMPREPLY[@]}"`
      return execFileSync(bash ?? 'bash', ['--norc', '-c', asked], { encoding: 'utf8', cwd: dir })
        .trim()
        .split('\n')
    }
    t.strictSame(complete('sallyport', 'exch'), ['exchange'])
    t.strictSame(complete('sallyport', 'exchange', '--subject-token-t'), ['--subject-token-type'])
    t.strictSame(complete('sallyport', 'exchange', '--broker', 'x', '--connec'), ['--connector'])
    t.strictSame(complete('sallyport', 'token', '--j'), ['--json'])
    t.strictSame(complete('sallyport', 'token', 'comp'), ['completion.bash'], 'files where a file is wanted')
    t.strictSame(complete('sallyport', 'exchange', '--broker', ''), [''], 'nothing where only the user knows')
  },
)

for (const [shell, check] of [
  ['zsh', ['-n']],
  ['fish', ['--no-execute']],
] as const) {
  const path = shellPath(shell)
  t.test(`${shell} accepts its script`, { skip: path === undefined && `no ${shell} here` }, async (t) => {
    const script = join(folder(t), `sallyport.${shell}`)
    writeFileSync(script, (await runCli(['completion', shell])).stdout)
    t.equal(execFileSync(path ?? shell, [...check, script], { encoding: 'utf8' }), '')
  })
}

const fish = shellPath('fish')
t.test('fish completes a flag', { skip: fish === undefined && 'no fish here' }, async (t) => {
  const script = join(folder(t), 'sallyport.fish')
  writeFileSync(script, (await runCli(['completion', 'fish'])).stdout)
  const asked = `source ${script}; complete -C 'sallyport exchange --connec'`
  const shown = execFileSync(fish ?? 'fish', ['--no-config', '-c', asked], { encoding: 'utf8' })
  t.match(shown, /^--connector\t/)
})

t.test('a shell that has no script is exit code 2 with those that have', async (t) => {
  t.match(await runCli(['completion', 'tcsh']), { code: 2, stderr: /bash, zsh, fish/ })
})
