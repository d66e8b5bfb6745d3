// The signer elsewhere that a configuration names, with its guard, its metrics and its lines in the log.
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import type { CryptoPool } from '#platform/crypto_pool.ts'
import { KeyFailure } from '#platform/keys/key_failure.ts'
import type { Log } from '#platform/log.ts'
import type { Metrics } from '#platform/metrics.ts'
import { guardSigner } from '#platform/remote_signer/guarded_signer.ts'
import type { GuardedSigner } from '#platform/remote_signer/guarded_signer.ts'
import { createHttpSigner } from '#platform/remote_signer/http_signer.ts'
import { createPkcs11Signer } from '#platform/remote_signer/pkcs11_signer.ts'
import { SignerFailure } from '#platform/remote_signer/remote_signer.ts'
import type { RemoteSigner } from '#platform/remote_signer/remote_signer.ts'
import type { SignerConfig } from '../broker/config/broker_config.ts'

type SignerDeps = { readonly pool: CryptoPool; readonly log: Log; readonly metrics: Metrics }

/** Nothing is asked yet. Throws a KeyFailure where a library that it needs is missing. */
export function openSigner(
  config: SignerConfig | undefined,
  { pool, log, metrics }: SignerDeps,
): GuardedSigner | undefined {
  if (config === undefined) return undefined
  const guard = guardSigner(create(config), {
    limits: config,
    now: () => performance.now(),
    pool,
    onCall: metrics.signerCall,
    onBreaker(state, why) {
      if (state === 'open') log.warn({ why }, 'the signer fails: it is left alone for a while')
      else if (state === 'closed') log.info({}, 'the signer answers again')
    },
  })
  metrics.signer(() => guard.status())
  return guard
}

function create(config: SignerConfig): RemoteSigner {
  switch (config.type) {
    case 'http':
      return createHttpSigner({ ...config, caPem: readCa(config.caFile) })
    case 'pkcs11':
      try {
        return createPkcs11Signer({ ...config, threads: config.maxConcurrent })
      } catch (error) {
        if (!(error instanceof SignerFailure)) throw error
        throw new KeyFailure(`keys.signer: ${error.message}`, { cause: error })
      }
  }
}

function readCa(file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new KeyFailure(`keys.signer.caFile: ${file} cannot be read`, { cause })
  }
}
