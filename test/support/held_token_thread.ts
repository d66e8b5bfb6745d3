// The thread of a PKCS#11 signer that does everything as the real one, but for a file beside the library: as long as it is
// there, calls hang, as they do in a driver whose HSM has gone away.
import { existsSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { TokenSession } from '../../src/platform/remote_signer/pkcs11/token_session.ts'

const sleeping = new Int32Array(new SharedArrayBuffer(4))
// oxlint-disable-next-line typescript/unbound-method -- called with its own `this` below
const { sign } = TokenSession.prototype
TokenSession.prototype.sign = function (...args) {
  while (existsSync(`${workerData.library}.held`)) Atomics.wait(sleeping, 0, 0, 5)
  return sign.apply(this, args)
}
await import('../../src/platform/remote_signer/pkcs11/thread.ts')
