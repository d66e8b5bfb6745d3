import t from 'tap'
import { jwkThumbprint, jwksDocument, publicMembers } from '../../src/core/public_jwk.ts'

// RFC 7638 §3.1.
const rfcKey = {
  kty: 'RSA',
  n: '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw',
  e: 'AQAB',
  alg: 'RS256',
  kid: '2011-04-29',
}

t.test("the thumbprint of RFC 7638's example is the one in the RFC", async (t) => {
  const jwk = publicMembers(rfcKey)
  t.equal(jwk && jwkThumbprint(jwk), 'NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs')
})

t.test('only the members of a public key survive', async (t) => {
  t.strictSame(
    publicMembers({ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'private', k: 'private', use: 'enc' }),
    {
      kty: 'EC',
      crv: 'P-256',
      x: 'x',
      y: 'y',
    },
  )
  t.equal(publicMembers({ kty: 'oct', k: 'private' }), undefined)
  t.equal(publicMembers({ kty: 'OKP', crv: 'Ed25519', x: 'x' }), undefined)
  t.equal(publicMembers({ kty: 'EC', crv: 'P-256', x: 'x' }), undefined)
})

t.test("the document has Dex's layout, to the byte", async (t) => {
  const body = jwksDocument([
    { kid: 'one', alg: 'RS256', jwk: { kty: 'RSA', n: 'n', e: 'AQAB' } },
    { kid: 'two', alg: 'ES256', jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' } },
  ])
  t.equal(
    body,
    `{
  "keys": [
    {
      "use": "sig",
      "kty": "RSA",
      "kid": "one",
      "alg": "RS256",
      "n": "n",
      "e": "AQAB"
    },
    {
      "use": "sig",
      "kty": "EC",
      "kid": "two",
      "crv": "P-256",
      "alg": "ES256",
      "x": "x",
      "y": "y"
    }
  ]
}`,
  )
})
