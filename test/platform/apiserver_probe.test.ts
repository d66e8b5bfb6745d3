// What is read of an apiserver's metrics: the key set of one issuer, out of more than one wants to keep.
import { createHash } from 'node:crypto'
import t from 'tap'
import { findKeySet } from '../../src/platform/kube/apiserver_probe.ts'

const ISSUER = 'https://sallyport.example.com'
const sha256 = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const KEY_SET = sha256('{"keys":[]}')
const LINE = `apiserver_authentication_jwt_authenticator_jwks_fetch_last_key_set_info{apiserver_id_hash="sha256:0",hash="${KEY_SET}",jwt_issuer_hash="${sha256(ISSUER)}"} 1`

async function* chunksOf(text: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

t.test('the key set is found wherever the chunks part', async (t) => {
  const text = `# HELP ü\napiserver_request_total 5\n${LINE}\nz 1\n`
  for (const size of [1, 7, 64, 4096])
    t.equal(await findKeySet(chunksOf(text, size), ISSUER), KEY_SET, `${size}`)
  t.equal(await findKeySet(chunksOf(LINE, 64), ISSUER), KEY_SET, 'without a line break at the end')
  t.equal(await findKeySet(chunksOf(text, 64), 'https://other.example.com'), undefined)
})

t.test('an answer without line breaks is taken no further than the limit', async (t) => {
  let sent = 0
  async function* endless(): AsyncGenerator<Buffer> {
    for (;;) {
      sent += 1024
      yield Buffer.alloc(1024, 'a')
    }
  }
  t.equal(await findKeySet(endless(), ISSUER, 64 * 1024), undefined)
  t.equal(sent, 65 * 1024)
})

t.test('a line that is too long is passed over, and the next one read', async (t) => {
  const long = `apiserver_authentication_${'x'.repeat(100_000)}`
  for (const size of [1000, 1_000_000])
    t.equal(await findKeySet(chunksOf(`${long}\n${LINE}\n`, size), ISSUER), KEY_SET)
  const padded = LINE.replace('{', `{pad="${'x'.repeat(20_000)}",`)
  t.equal(await findKeySet(chunksOf(padded, 1000), ISSUER), undefined)
})

t.test('what stood before the limit is used', async (t) => {
  const text = `${LINE}\n${'y'.repeat(5000)}`
  t.equal(await findKeySet(chunksOf(text, 500), ISSUER, 2000), KEY_SET)
})
