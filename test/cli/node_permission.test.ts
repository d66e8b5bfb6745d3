// A command that Node's permission model stops says which file and which flag.
import { spawnSync } from 'node:child_process'
import { join, resolve } from 'node:path'
import t from 'tap'
import { refusedByNode } from '../../src/cli/node_permission.ts'

const root = resolve(import.meta.dirname, '../..')

function run(...flags: readonly string[]): { readonly status: number | null; readonly stderr: string } {
  const args = [...flags, join(root, 'src/main.ts'), 'config', 'check', '/etc/hosts']
  return spawnSync(process.execPath, args, { encoding: 'utf8', cwd: root })
}

t.test('a file that is not allowed is named with its flag, and one that is allowed is read', async (t) => {
  const own = ['--permission', `--allow-fs-read=${root}`]
  const refused = run(...own)
  t.equal(refused.status, 1)
  t.match(refused.stderr, 'do not allow /etc/hosts\n')
  t.match(refused.stderr, 'add --allow-fs-read=/etc/hosts to NODE_OPTIONS')
  const read = run(...own, '--allow-fs-read=/etc/hosts')
  t.equal(read.status, 78, 'read, and no configuration')
  t.notMatch(read.stderr, 'NODE_OPTIONS')
})

t.test(
  'standard input needs no file to be allowed, and a token file that is not allowed is not told',
  async (t) => {
    const flags = ['--permission', `--allow-fs-read=${root}`, join(root, 'src/main.ts')]
    // In the Pod the folder is /, of which hardly anything may be read.
    const world = { encoding: 'utf8', cwd: '/', input: 'no token' } as const
    const piped = spawnSync(process.execPath, [...flags, 'token', '-'], world)
    t.notMatch(piped.stderr, 'permissions')
    t.match(piped.stderr, 'subject_malformed')
    const word = spawnSync(process.execPath, [...flags, 'token', 'tohchie5ahTh'], world)
    t.not(word.status, 0)
    t.notMatch(word.stderr, 'tohchie5ahTh')
  },
)

/** As Node throws it. */
function refusal(permission: string, resource: string): Error {
  return Object.assign(new Error('restricted'), { code: 'ERR_ACCESS_DENIED', permission, resource })
}

t.test('other refusals are named as far as Node names them, and other errors are left alone', async (t) => {
  t.match(refusedByNode(refusal('ChildProcess', '')), /do not allow this\n.*add --allow-child-process to/)
  t.match(refusedByNode(refusal('FileSystemWrite', '/a/b')), /allow \/a\/b\n.*add --allow-fs-write=\/a\/b to/)
  t.equal(refusedByNode(refusal('Inspector', '')), 'restricted (Inspector)')
  t.equal(refusedByNode(new Error('other')), undefined)
  t.equal(refusedByNode(Object.assign(new Error('other'), { code: 'ENOENT' })), undefined)
})
