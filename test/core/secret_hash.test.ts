import t from 'tap'
import {
  formatScrypt,
  hashGeneratedSecret,
  looksGenerated,
  matchesSha256,
  parsePhc,
} from '../../src/core/secret_hash.ts'

const salt = Buffer.alloc(16, 7)
const secret = 'q5bFz0m1V6pTn8wXyR2cLk'

t.test('a generated secret matches its own hash and no other secret does', async (t) => {
  const phc = parsePhc(hashGeneratedSecret(secret, salt))
  const matches = (given: string): boolean => phc?.kind === 'sha256' && matchesSha256(given, phc)
  t.equal(matches(secret), true)
  t.equal(matches(`${secret}x`), false)
  t.equal(matches(''), false)
})

t.test('the text is a PHC string, and another salt gives another', async (t) => {
  const text = hashGeneratedSecret(secret, salt)
  t.match(text, /^\$sallyport-sha256\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  t.not(text, hashGeneratedSecret(secret, Buffer.alloc(16, 8)))
  t.notOk(text.includes(secret))
})

t.test('what is written for scrypt is read back', async (t) => {
  const hash = Buffer.alloc(32, 9)
  const text = formatScrypt({ ln: 15, r: 8, p: 1 }, salt, hash)
  t.equal(text, '$scrypt$ln=15,r=8,p=1$BwcHBwcHBwcHBwcHBwcHBw$CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk')
  t.same(parsePhc(text), { kind: 'scrypt', cost: { ln: 15, r: 8, p: 1 }, salt, hash })
})

t.test('anything else is no hash', async (t) => {
  const [, , saltText = '', hashText = ''] = hashGeneratedSecret(secret, salt).split('$')
  const scrypt = (cost: string): string => `$scrypt$${cost}$${saltText}$${hashText}`
  t.ok(parsePhc(scrypt('ln=15,r=8,p=1')), 'the twin')
  const wrong = [
    '',
    '$',
    secret,
    `sallyport-sha256$${saltText}$${hashText}`,
    `$sallyport-sha256$${saltText}$${hashText}$`,
    `$sallyport-sha256$${saltText}=$${hashText}`,
    `$sallyport-sha256$${saltText}$${hashText.slice(0, -1)}`,
    `$sallyport-sha256$$${hashText}`,
    `$sallyport-md5$${saltText}$${hashText}`,
    `$2b$10$${saltText}${hashText}`,
    scrypt('ln=1,r=8,p=1'),
    scrypt('ln=30,r=8,p=1'),
    scrypt('ln=15,r=8,p=99'),
    scrypt('ln=15,r=0,p=1'),
    scrypt('ln=15'),
    scrypt('r=8,ln=15,p=1'),
    `$sallyport-sha256$${'A'.repeat(1000)}$${hashText}`,
  ]
  for (const text of wrong) t.equal(parsePhc(text), undefined, text.slice(0, 60))
})

t.test('what a machine made passes for generated, what a person chose does not', async (t) => {
  const generated = [
    '3f1d9a7c5e8b204611c0ffee9d2a7b43',
    '8c7f4a1e-6b0d-4f39-9c52-1ad0b7e6f283',
    'q5bFz0m1V6pTn8wXyR2cLk',
    'ZXhhbXBsZS1hcHAtc2VjcmV0',
    'Zm9vYmFy+/9kQ2xPpL1tVw==',
  ]
  for (const each of generated) t.equal(looksGenerated(each), true, each)
  const chosen = [
    '',
    'secret',
    'correct-horse-battery-staple',
    'Summer2026!',
    '00000000000000000000000000000000',
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    '20261121202611212026112120261121',
    'pass word with spaces and 1234567890 ABC',
  ]
  for (const each of chosen) t.equal(looksGenerated(each), false, each)
})
