import t from 'tap'
import { inPlacePool } from '../../src/platform/crypto_pool.ts'
import { makeKeyPair } from '../../src/platform/keys/key_material.ts'
import { createSigner } from '../../src/platform/keys/signer.ts'
import { describeSigningKey } from './signing_key.ts'

t.test('a key of the broker itself', async (t) => {
  describeSigningKey(t, {
    async open(_t, algorithm) {
      const pair = await makeKeyPair(algorithm)
      return { jwk: pair.jwk, key: createSigner({ ...pair, algorithm }, inPlacePool) }
    },
  })
})
