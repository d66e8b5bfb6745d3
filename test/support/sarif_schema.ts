// The JSON Schema of SARIF 2.1.0 as its package on npm has it (the repository has no copy of the standard). Fetched once, by
// exact version and hash, and kept with the peers.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { cachedFolder } from './peer_cache.ts'

const PACKAGE = '@microsoft/jest-sarif@1.0.0-beta.0'
const SHA512 = 'A1fOhPd6Ic5iDk4F9YPw1qNB4XF+7+IviR7xl8r2F6QzQkx5cpY9LsGk2rExiFIEcBbjpVnSmwWGBukASkiQ9A=='
const SCHEMA = 'package/lib/schemas/sarif-2.1.0-rtm.5.json'

const run = promisify(execFile)

/** As parsed JSON, without the parts that name its dialect (draft 4; nothing in it reads otherwise in draft 7). */
export async function sarifSchema(): Promise<Readonly<Record<string, unknown>>> {
  const folder = await cachedFolder('sarif-schema', SHA512.replaceAll(/\W/g, '').slice(0, 24), fetchSchema)
  const schema: Record<string, unknown> = JSON.parse(await readFile(join(folder, 'sarif.json'), 'utf8'))
  const { $schema: _dialect, id: _id, ...rest } = schema
  return rest
}

async function fetchSchema(folder: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), 'sarif-'))
  try {
    await run('npm', ['pack', '--silent', '--pack-destination', scratch, PACKAGE], { timeout: 120_000 })
    const [archive = ''] = await readdir(scratch)
    const digest = createHash('sha512')
      .update(await readFile(join(scratch, archive)))
      .digest('base64')
    if (digest !== SHA512) throw new Error(`${PACKAGE} is not what it was: sha512-${digest}`)
    await run('tar', ['-xzf', join(scratch, archive), '-C', scratch, SCHEMA])
    await cp(join(scratch, SCHEMA), join(folder, 'sarif.json'))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}
