// How the store gets to PostgreSQL: whose certificate counts, where the password comes from, and what is said when neither
// does.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { issueCertificate, makeAuthority } from '../../src/platform/dev_certificate_authority.ts'
import type { PostgresAddress } from '../../src/platform/store/postgres_pool.ts'
import { openPostgresStore } from '../../src/platform/store/postgres_store.ts'
import type { Store } from '../../src/platform/store/store.ts'
import { POSTGRES_PASSWORD, postgresOrSkip, startPostgres } from '../support/postgres.ts'

const clock = Date.now

async function open(t: Test, address: PostgresAddress): Promise<Store> {
  const store = await openPostgresStore({ address, schema: 'sallyport', clock, log: { warn: () => {} } })
  t.teardown(async () => store.close())
  return store
}

const peer = await postgresOrSkip()
if (peer.skip !== false) {
  t.pass('skipped', { skip: peer.skip })
} else {
  await withPostgres(peer.value)
}

async function withPostgres(bin: string): Promise<void> {
  const folder = t.testdir()
  const authority = await makeAuthority(['db.example.test', 'db.example.org'], clock())
  const certificate = await issueCertificate(authority, ['db.example.test'], clock())
  const caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, authority.certPem)
  const server = await startPostgres(t, bin, {
    settings: ['ssl = on'],
    files: { 'server.crt': certificate.certPem, 'server.key': certificate.keyPem },
    hba: ['hostssl tls_only all 127.0.0.1/32 scram-sha-256', 'host tls_only all 127.0.0.1/32 reject'],
  })
  const socket = await server.database('tls_only')
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, `${POSTGRES_PASSWORD}\n`)
  const far: PostgresAddress = {
    ...socket,
    host: '127.0.0.1',
    secret: { file: passwordFile, holds: 'password' },
    tls: { caFile, serverName: 'db.example.test' },
  }

  t.test('a database with the named certificate and the right password is taken', async (t) => {
    const store = await open(t, far)
    await store.put('k', 'v')
    t.equal(await store.get('k'), 'v')
    const [row] = await server.sql(
      'tls_only',
      "SELECT version FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'sallyport'",
    )
    t.match(row?.['version'], /TLSv1\.[23]/)
  })

  t.test('a certificate of another name, or of nobody that is trusted, is refused', async (t) => {
    await t.rejects(open(t, { ...far, tls: { caFile, serverName: undefined } }), {
      message: /for another name/,
    })
    await t.rejects(open(t, { ...far, tls: { caFile, serverName: 'db.example.org' } }), {
      message: /another name/,
    })
    await t.rejects(open(t, { ...far, tls: { caFile: undefined, serverName: 'db.example.test' } }), {
      message: /not trusted: tls\.caFile/,
    })
    const other = await makeAuthority(['db.example.test'], clock())
    writeFileSync(join(folder, 'other.pem'), other.certPem)
    await t.rejects(
      open(t, { ...far, tls: { caFile: join(folder, 'other.pem'), serverName: 'db.example.test' } }),
      {
        message: /not trusted/,
      },
    )
    await t.rejects(open(t, { ...far, tls: { caFile: join(folder, 'none.pem'), serverName: undefined } }), {
      message: /none\.pem cannot be read \(ENOENT\)/,
    })
  })

  t.test(
    'TLS is never given up: neither for a server without it nor by a configuration without it',
    async (t) => {
      await t.rejects(open(t, { ...far, tls: 'off' }), { message: /reject|no encryption/ })
      const plain = await startPostgres(t, bin)
      const address = await plain.database()
      await t.rejects(open(t, { ...far, port: plain.port, database: address.database }), {
        message: /does not speak TLS/,
      })
    },
  )

  t.test(
    'a wrong password, a missing one and a file that is not there are told apart, and never shown',
    async (t) => {
      const wrong = join(folder, 'wrong')
      writeFileSync(wrong, 'hunter2')
      const withFile = (file: string): PostgresAddress => ({ ...far, secret: { file, holds: 'password' } })
      await t.rejects(open(t, withFile(wrong)), { message: /^(?!.*hunter2).*password is refused/ })
      await t.rejects(open(t, { ...far, secret: undefined }), { message: /none is configured/ })
      await t.rejects(open(t, withFile(join(folder, 'gone'))), { message: /gone cannot be read \(ENOENT\)/ })
      const url = join(folder, 'url')
      writeFileSync(url, 'mysql://hunter2')
      await t.rejects(open(t, { ...far, secret: { file: url, holds: 'url' } }), {
        message: /^(?!.*hunter2).*not a postgres/,
      })
    },
  )

  t.test('a password that changes in its file takes effect without a restart', async (t) => {
    const url = join(folder, 'url')
    const write = (password: string): void =>
      writeFileSync(url, `postgres://postgres:${password}@127.0.0.1:${server.port}/tls_only\n`)
    write(POSTGRES_PASSWORD)
    const store = await open(t, { ...far, secret: { file: url, holds: 'url' } })
    await store.put('k', 'v')
    await server.sql('postgres', "ALTER ROLE postgres PASSWORD 'Kp4Xv9QzRt6LmW2b'")
    await server.sql(
      'postgres',
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sallyport'",
    )
    await t.rejects(store.get('k'), { message: /password is refused|was shut down|cut/ })
    await t.rejects(store.get('k'), { message: /password is refused/ })
    write('Kp4Xv9QzRt6LmW2b')
    t.equal(await store.get('k'), 'v')
    await server.sql('postgres', `ALTER ROLE postgres PASSWORD '${POSTGRES_PASSWORD}'`)
  })

  t.test('a database that does not exist is named', async (t) => {
    await t.rejects(open(t, { ...far, database: 'tls_only_too', tls: far.tls }), {
      message: /no such database|pg_hba/,
    })
    await t.rejects(open(t, { ...socket, database: 'nowhere' }), {
      message: /\/nowhere: there is no such database/,
    })
    await t.rejects(open(t, { ...socket, host: folder }), { message: /no such socket/ })
  })
}
