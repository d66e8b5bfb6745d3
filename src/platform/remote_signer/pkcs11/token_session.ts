// One session with a PKCS#11 token (OASIS PKCS#11 2.40): opens it when it is needed, finds keys by label, signs. Every
// call blocks; it runs on a thread. After any error the session is thrown away and the next call opens a new one.
import type * as Pkcs11Module from 'pkcs11js'
import type { RawPublicKey, ThreadAnswer, ThreadData } from './messages.ts'

type Binding = typeof Pkcs11Module
type Why = Extract<ThreadAnswer, { outcome: 'failed' }>['why']

/** What the token refused; `isPinRefused` as in ThreadAnswer. */
export class TokenRefusal extends Error {
  readonly why: Why
  readonly isPinRefused: boolean
  constructor(why: Why, message: string, isPinRefused = false) {
    super(message)
    this.why = why
    this.isPinRefused = isPinRefused
  }
}

/** OBJECT IDENTIFIER 1.2.840.10045.3.1.7, P-256. */
const P256_OID = Buffer.from('06082a8648ce3d030107', 'hex')
/** DigestInfo of SHA-256 up to the hash (RFC 8017 §9.2, note 1): CKM_RSA_PKCS pads what it is given, and no more. */
const SHA256_INFO = Buffer.from('3031300d060960864801650304020105000420', 'hex')
/** RSA of 8192 bits. */
const MAX_SIGNATURE_BYTES = 1024
/** Key handles that are remembered; a ring has two or three. */
const MAX_HANDLES = 16

export class TokenSession {
  readonly #binding: Binding
  readonly #data: ThreadData
  #library: Pkcs11Module.PKCS11 | undefined
  #session: Buffer | undefined
  readonly #privateKeys = new Map<string, Buffer>()

  constructor(binding: Binding, data: ThreadData) {
    this.#binding = binding
    this.#data = data
  }

  publicKey(label: string, pin: string): RawPublicKey {
    return this.#within(pin, (library, session) => {
      const { CKO_PUBLIC_KEY, CKA_KEY_TYPE, CKK_EC, CKK_RSA } = this.#binding
      // A label that has no private key is told before anything is published.
      this.#privateKey(library, session, label)
      const handle = this.#only(library, session, CKO_PUBLIC_KEY, label, 'public')
      const type = numberOf(this.#attribute(library, session, handle, CKA_KEY_TYPE))
      if (type === CKK_EC) return this.#ecKey(library, session, handle, label)
      if (type === CKK_RSA) return this.#rsaKey(library, session, handle)
      throw new TokenRefusal('key_unfit', `the key ${label} is neither EC nor RSA`)
    })
  }

  /** ES256: R and S, as tokens write it. */
  sign(label: string, pin: string, algorithm: 'ES256' | 'RS256', digest: Uint8Array): Buffer {
    return this.#within(pin, (library, session) => {
      const { CKM_ECDSA, CKM_RSA_PKCS } = this.#binding
      const key = this.#privateKey(library, session, label)
      const isEc = algorithm === 'ES256'
      library.C_SignInit(session, { mechanism: isEc ? CKM_ECDSA : CKM_RSA_PKCS }, key)
      const data = isEc ? Buffer.from(digest) : Buffer.concat([SHA256_INFO, digest])
      return library.C_Sign(session, data, Buffer.alloc(MAX_SIGNATURE_BYTES))
    })
  }

  #within<T>(pin: string, work: (library: Pkcs11Module.PKCS11, session: Buffer) => T): T {
    try {
      const library = this.#load()
      const session = (this.#session ??= this.#open(library, pin))
      return work(library, session)
    } catch (error) {
      if (!(error instanceof TokenRefusal)) this.#forget()
      throw error
    }
  }

  #load(): Pkcs11Module.PKCS11 {
    if (this.#library !== undefined) return this.#library
    const { PKCS11, CKF_OS_LOCKING_OK, CKR_CRYPTOKI_ALREADY_INITIALIZED } = this.#binding
    const library = new PKCS11()
    library.load(this.#data.library)
    // The library is one for the process: the first thread initializes it, the others find it so.
    this.#accept(CKR_CRYPTOKI_ALREADY_INITIALIZED, () => library.C_Initialize({ flags: CKF_OS_LOCKING_OK }))
    this.#library = library
    return library
  }

  #open(library: Pkcs11Module.PKCS11, pin: string): Buffer {
    const binding = this.#binding
    const slots = library
      .C_GetSlotList(true)
      .filter((slot) => library.C_GetTokenInfo(slot).label.trimEnd() === this.#data.token)
    const [slot, second] = slots
    if (slot === undefined) throw new TokenRefusal('unreachable', `there is no token ${this.#data.token}`)
    if (second !== undefined)
      throw new TokenRefusal('key_unfit', `two tokens are called ${this.#data.token}: rename one`)
    const session = library.C_OpenSession(slot, binding.CKF_SERIAL_SESSION)
    try {
      // Whoever logs in does so for the whole process.
      this.#accept(binding.CKR_USER_ALREADY_LOGGED_IN, () => library.C_Login(session, binding.CKU_USER, pin))
    } catch (error) {
      library.C_CloseSession(session)
      const refused = [binding.CKR_PIN_INCORRECT, binding.CKR_PIN_LOCKED, binding.CKR_PIN_EXPIRED]
      if (error instanceof binding.Pkcs11Error && refused.includes(error.code))
        throw new TokenRefusal('credential', `the token refuses the PIN: ${error.message}`, true)
      throw error
    }
    return session
  }

  #forget(): void {
    const [library, session] = [this.#library, this.#session]
    this.#session = undefined
    this.#privateKeys.clear()
    if (library === undefined || session === undefined) return
    try {
      library.C_CloseSession(session)
    } catch {
      // It is gone, which is why we are here: what brought us here is what the caller is told.
    }
  }

  #privateKey(library: Pkcs11Module.PKCS11, session: Buffer, label: string): Buffer {
    const known = this.#privateKeys.get(label)
    if (known !== undefined) return known
    const handle = this.#only(library, session, this.#binding.CKO_PRIVATE_KEY, label, 'private')
    if (this.#privateKeys.size >= MAX_HANDLES) this.#privateKeys.clear()
    this.#privateKeys.set(label, handle)
    return handle
  }

  #only(
    library: Pkcs11Module.PKCS11,
    session: Buffer,
    objectClass: number,
    label: string,
    which: 'private' | 'public',
  ): Buffer {
    const { CKA_CLASS, CKA_LABEL } = this.#binding
    library.C_FindObjectsInit(session, [
      { type: CKA_CLASS, value: objectClass },
      { type: CKA_LABEL, value: label },
    ])
    const [handle, second] = library.C_FindObjects(session, 2)
    library.C_FindObjectsFinal(session)
    if (handle === undefined)
      throw new TokenRefusal('key_unfit', `the token holds no ${which} key with the label ${label}`)
    if (second !== undefined)
      throw new TokenRefusal('key_unfit', `two ${which} keys have the label ${label}: rename one`)
    return handle
  }

  #ecKey(library: Pkcs11Module.PKCS11, session: Buffer, handle: Buffer, label: string): RawPublicKey {
    const { CKA_EC_PARAMS, CKA_EC_POINT } = this.#binding
    if (!this.#attribute(library, session, handle, CKA_EC_PARAMS).equals(P256_OID))
      throw new TokenRefusal('key_unfit', `the key ${label} is not on P-256`)
    const written = this.#attribute(library, session, handle, CKA_EC_POINT)
    // An OCTET STRING around the point by the book; some tokens leave it out.
    const point =
      written.length === 67 && written[0] === 0x04 && written[1] === 65 ? written.subarray(2) : written
    if (point.length !== 65 || point[0] !== 0x04)
      throw new TokenRefusal('key_unfit', `the point of the key ${label} is in a form that is not known`)
    return { kind: 'ec', x: point.subarray(1, 33), y: point.subarray(33) }
  }

  #rsaKey(library: Pkcs11Module.PKCS11, session: Buffer, handle: Buffer): RawPublicKey {
    const { CKA_MODULUS, CKA_PUBLIC_EXPONENT } = this.#binding
    const n = this.#attribute(library, session, handle, CKA_MODULUS)
    return { kind: 'rsa', n, e: this.#attribute(library, session, handle, CKA_PUBLIC_EXPONENT) }
  }

  #attribute(library: Pkcs11Module.PKCS11, session: Buffer, handle: Buffer, type: number): Buffer {
    const [found] = library.C_GetAttributeValue(session, handle, [{ type }])
    const value = found?.value
    if (!Buffer.isBuffer(value)) throw new TokenRefusal('key_unfit', 'the token tells too little of the key')
    return value
  }

  #accept(code: number, work: () => void): void {
    try {
      work()
    } catch (error) {
      if (!(error instanceof this.#binding.Pkcs11Error) || error.code !== code) throw error
    }
  }
}

/** CK_ULONG, in the order of bytes of this machine; all that Node runs on are little-endian or say so by their length. */
function numberOf(value: Buffer): number {
  return value.readUIntLE(0, Math.min(6, value.length))
}
