// A certificate in files: read at the start, read again when it changes, and kept when the new one is no pair.
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { openFileCertificate } from '../../webhook/certificate/files.ts'
import { makeClusterAuthority } from '../support/kube_pki.ts'

async function until(holds: () => boolean): Promise<void> {
  for (let wait = 0; wait < 300 && !holds(); wait += 1) await sleep(10)
}

t.test('a renewed pair is told, half of one is not, and the old one stays', async (t) => {
  const folder = t.testdir({})
  const [certFile, keyFile, caFile] = ['tls.crt', 'tls.key', 'ca.crt'].map((name) => join(folder, name))
  if (certFile === undefined || keyFile === undefined || caFile === undefined) throw new Error('no names')
  const authority = await makeClusterAuthority()
  const first = await authority.server(['a.example.test'])
  const second = await authority.server(['b.example.test'])
  writeFileSync(certFile, first.certPem)
  writeFileSync(keyFile, first.keyPem)
  writeFileSync(caFile, authority.caPem)
  const errors: unknown[] = []
  const source = openFileCertificate({
    certFile,
    keyFile,
    clientCaFile: caFile,
    checkMs: 20,
    log: { error: (fields: unknown) => void errors.push(fields) },
  })
  t.teardown(() => source.close())
  let changes = 0
  const end = source.onChange(() => {
    changes += 1
  })
  t.equal(source.current().cert, first.certPem)
  t.ok(source.current().notAfterSeconds > Date.now() / 1000)
  t.equal(source.missing(), undefined)

  await sleep(30)
  writeFileSync(certFile, second.certPem)
  await until(() => errors.length > 0)
  t.match(errors, [{ err: /are no pair/ }])
  t.equal(changes, 0)
  t.equal(source.current().cert, first.certPem)

  writeFileSync(keyFile, second.keyPem)
  await until(() => changes > 0)
  t.equal(source.current().cert, second.certPem)

  const before = changes
  writeFileSync(caFile, `${authority.caPem}\n`)
  await until(() => changes > before)
  t.equal(changes, before + 1, 'the authority of the clients counts, too')

  end()
  rmSync(certFile)
  await until(() => errors.length > 1)
  t.equal(source.current().cert, second.certPem)
})

t.test('what is no pair at the start is refused', async (t) => {
  const authority = await makeClusterAuthority()
  const [one, other] = [await authority.server(['a']), await authority.server(['b'])]
  const folder = t.testdir({ 'tls.crt': one.certPem, 'tls.key': other.keyPem })
  const open = () =>
    openFileCertificate({
      certFile: join(folder, 'tls.crt'),
      keyFile: join(folder, 'tls.key'),
      clientCaFile: undefined,
      log: { error: () => undefined },
    })
  t.throws(open, /certificate and key are no pair/)
  writeFileSync(join(folder, 'tls.key'), one.keyPem)
  const source = open()
  t.equal(source.current().cert, one.certPem)
  source.close()
})
