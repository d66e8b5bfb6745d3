// Group H, with a key that lies elsewhere. How signers behave has its tests in test/conformance/signing_key.ts.
import { generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import { publicJwkOf } from '../../src/platform/keys/key_material.ts'
import { guardSigner } from '../../src/platform/remote_signer/guarded_signer.ts'
import { startTestBroker } from '../support/test_broker.ts'
import { UNAVAILABLE, threatTable } from '../support/threat_case.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const pending = new Set<() => void>()
let hanging: (() => Promise<void>) | undefined

const signer = guardSigner(
  {
    publicKey: async () => publicJwkOf(privateKey),
    async sign({ input }) {
      await hanging?.()
      return sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
    },
    close: () => {},
  },
  {
    limits: { timeoutMs: 1000, maxConcurrent: 4, maxWaiting: 4 },
    now: () => 0,
    after: (_ms, callback) => {
      pending.add(callback)
      return () => void pending.delete(callback)
    },
    pool: inPlacePool,
  },
)
const broker = await startTestBroker(t, { remote: { kind: 'http', key: 'k', signer } })
const { refuses } = threatTable(t, broker)

refuses({
  id: 'H08',
  says: 'an exchange whose signer elsewhere does not answer in time',
  reason: 'signer_unavailable',
  decision: 'fail',
  answer: UNAVAILABLE,
  evidence: { why: 'timeout', detail: /no answer of the signer within 1000 ms/ },
  attack: async (world) => {
    const { promise: asked, resolve: ask } = Promise.withResolvers<void>()
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    hanging = async () => {
      ask()
      await held
    }
    const reply = world.exchange()
    await asked
    for (const isOver of pending) isOver()
    const refused = await reply
    hanging = undefined
    release()
    return refused
  },
  also: async (t, reply) => {
    t.equal(reply.headers['retry-after'], '5')
  },
})
