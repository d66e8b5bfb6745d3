// Job tokens that nobody has used: a load of tokens that are good once needs a new one for each request.
import { createPublicKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { benchIssuer, exchangeBody, jobClaims } from '../world.ts'

const signature = promisify(sign)

export type FreshTokens = {
  readonly issuer: string
  /** Its key set, for a connector with `jwksFile`. */
  readonly jwksFile: string
  /** So many tokens, signed RS256 as GitLab does. */
  readonly mint: (count: number) => Promise<readonly string[]>
  /** A file with so many exchanges of fresh tokens, one form body a line; each call writes the same file anew. */
  readonly bodies: (count: number) => Promise<string>
}

/** Signatures under way at once: they are made on threads. */
const AT_ONCE = 64

export function createFreshTokens(folder: string): FreshTokens {
  const issuer = 'https://gitlab.example.test'
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = createPublicKey(privateKey).export({ format: 'jwk' })
  const jwksFile = join(folder, 'gitlab.jwks.json')
  writeFileSync(jwksFile, JSON.stringify({ keys: [{ ...jwk, kid: 'bench', alg: 'RS256', use: 'sig' }] }))
  const header = encode({ alg: 'RS256', kid: 'bench', typ: 'JWT' })
  const claims = jobClaims()

  async function one(): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const times = { iat: now, nbf: now - 5, exp: now + 3600 }
    const payload = encode({ ...claims, iss: issuer, aud: benchIssuer, jti: randomUUID(), ...times })
    const input = `${header}.${payload}`
    return `${input}.${(await signature('sha256', Buffer.from(input), privateKey)).toString('base64url')}`
  }

  async function mint(count: number): Promise<readonly string[]> {
    const made: string[] = []
    const lane = async (): Promise<void> => {
      while (made.length < count) {
        const token = await one()
        if (made.length < count) made.push(token)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, lane))
    return made
  }

  return {
    issuer,
    jwksFile,
    mint,
    async bodies(count) {
      const file = join(folder, 'fresh.txt')
      const lines = (await mint(count)).map((token) => exchangeBody(token))
      writeFileSync(file, `${lines.join('\n')}\n`)
      return file
    },
  }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
