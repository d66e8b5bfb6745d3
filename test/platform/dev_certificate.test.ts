import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect, createServer } from 'node:tls'
import t from 'tap'
import { ensureDevCertificate } from '../../src/platform/dev_certificate.ts'
import type { DevCertificate } from '../../src/platform/dev_certificate.ts'

const hosts = ['localhost', '127.0.0.1', '::1']
const day = 86_400_000
const start = Date.now()

const read = (file: string): string => readFileSync(file, 'utf8')

/** Serves with the certificate and says whether a client that trusts `caFile` gets through to `servername`. */
async function handshake(made: DevCertificate, host: string, caFile: string): Promise<string> {
  const server = createServer({ cert: read(made.certFile), key: read(made.keyFile) })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const servername = host === 'localhost' ? { servername: host } : {}
  const socket = connect({ port, host: '127.0.0.1', ca: read(caFile), ...servername })
  const answer = await new Promise<string>((resolve) => {
    socket.on('secureConnect', () => resolve('connected'))
    socket.on('error', (error) => resolve(error.message))
  })
  socket.destroy()
  server.close()
  return answer
}

t.test('a fresh folder gets a CA and a certificate that clients who trust it accept', async (t) => {
  const made = await ensureDevCertificate(join(t.testdir(), 'tls'), hosts, () => start)
  t.equal(made.created, true)
  t.equal(await handshake(made, 'localhost', made.caFile), 'connected')
  t.equal(await handshake(made, '127.0.0.1', made.caFile), 'connected')
  const leaf = new X509Certificate(read(made.certFile))
  t.ok(leaf.checkIP('::1'))
  t.equal(leaf.checkHost('example.org'), undefined)
  t.equal(leaf.ca, false)
})

t.test('a client that trusts another CA does not accept it', async (t) => {
  const folder = t.testdir()
  const made = await ensureDevCertificate(join(folder, 'one'), hosts, () => start)
  const other = await ensureDevCertificate(join(folder, 'two'), hosts, () => start)
  t.match(await handshake(made, 'localhost', other.caFile), /signature|unable to verify|self-signed/)
})

t.test('keys are readable for their owner only', async (t) => {
  const dir = join(t.testdir(), 'tls')
  const made = await ensureDevCertificate(dir, hosts, () => start)
  t.equal(statSync(made.keyFile).mode & 0o777, 0o600)
  t.equal(statSync(join(dir, 'ca.key')).mode & 0o777, 0o600)
  t.equal(statSync(dir).mode & 0o777, 0o700)
})

t.test('the CA cannot vouch for any other name', async (t) => {
  const dir = join(t.testdir(), 'tls')
  const made = await ensureDevCertificate(dir, hosts, () => start)
  const { issueCertificate, loadAuthority } = await import('../../src/platform/dev_certificate_authority.ts')
  const authority = await loadAuthority(read(made.caFile), read(join(dir, 'ca.key')), hosts)
  if (authority === undefined) throw new Error('the CA was not loaded')
  const foreign = await issueCertificate(authority, ['127.0.0.2', 'localhost'], start)
  writeFileSync(made.certFile, foreign.certPem)
  writeFileSync(made.keyFile, foreign.keyPem)
  t.equal(await handshake(made, 'localhost', made.caFile), 'permitted subtree violation')
})

t.test('it is reused until 30 days before it expires, then renewed under the same CA', async (t) => {
  const dir = join(t.testdir(), 'tls')
  const made = await ensureDevCertificate(dir, hosts, () => start)
  const [ca, leaf] = [read(made.caFile), read(made.certFile)]
  t.equal((await ensureDevCertificate(dir, hosts, () => start + 334 * day)).created, false)
  t.equal((await ensureDevCertificate(dir, hosts, () => start + 336 * day)).created, true)
  t.equal(read(made.caFile), ca)
  t.not(read(made.certFile), leaf)
  t.ok(new X509Certificate(read(made.certFile)).verify(new X509Certificate(ca).publicKey))
})

t.test('a CA about to expire is made anew', async (t) => {
  const dir = join(t.testdir(), 'tls')
  const made = await ensureDevCertificate(dir, hosts, () => start)
  const ca = read(made.caFile)
  const late = start + 3640 * day
  t.equal((await ensureDevCertificate(dir, hosts, () => late)).created, true)
  t.not(read(made.caFile), ca)
  t.equal((await ensureDevCertificate(dir, hosts, () => late)).created, false)
})

t.test('other names get another CA, the same names keep theirs', async (t) => {
  const dir = join(t.testdir(), 'tls')
  const made = await ensureDevCertificate(dir, ['localhost'], () => start)
  const ca = read(made.caFile)
  t.equal((await ensureDevCertificate(dir, ['localhost'], () => start)).created, false)
  t.equal((await ensureDevCertificate(dir, ['localhost', 'broker.test'], () => start)).created, true)
  t.not(read(made.caFile), ca)
})

t.test('a lost or truncated file is made anew, under the CA that is left', async (t) => {
  const dir = join(t.testdir(), 'tls')
  const made = await ensureDevCertificate(dir, hosts, () => start)
  const ca = read(made.caFile)
  rmSync(made.keyFile)
  t.equal((await ensureDevCertificate(dir, hosts, () => start)).created, true)
  writeFileSync(made.certFile, read(made.certFile).slice(0, 100))
  t.equal((await ensureDevCertificate(dir, hosts, () => start)).created, true)
  t.equal(read(made.caFile), ca)
  writeFileSync(join(dir, 'ca.key'), 'not a key')
  rmSync(made.certFile)
  t.equal((await ensureDevCertificate(dir, hosts, () => start)).created, true)
  t.not(read(made.caFile), ca)
  t.equal(await handshake(made, 'localhost', made.caFile), 'connected')
})

t.test('a folder that cannot be used is an error that names it', async (t) => {
  const folder = t.testdir({ blocker: '' })
  chmodSync(join(folder, 'blocker'), 0o600)
  await t.rejects(
    ensureDevCertificate(join(folder, 'blocker', 'tls'), hosts, () => start),
    /ENOTDIR|EEXIST/,
  )
})
