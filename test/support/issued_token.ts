// Reads a token that our broker issued the way a relying party does: signature against its published keys, then claims.
import { request } from 'node:https'
import { createLocalJWKSet, jwtVerify } from 'jose'
import type { JSONWebKeySet } from 'jose'

export type ReadToken = {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
}

/** @param keysUrl `https://.../keys` @throws where the signature, time or issuer is wrong */
export async function readIssuedToken(
  token: string,
  keysUrl: string,
  caPem: string,
  issuer: string,
): Promise<ReadToken> {
  const keys: JSONWebKeySet = JSON.parse(await getText(keysUrl, caPem))
  const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(keys), { issuer })
  return { header: { ...protectedHeader }, claims: { ...payload } }
}

function getText(url: string, ca: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ca, agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.once('end', () => resolve(text))
    })
    outgoing.once('error', reject)
    outgoing.end()
  })
}
