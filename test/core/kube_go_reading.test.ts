// URLs and PEM as Go reads them. The verdicts are those of k8s.io/apiserver v0.36.4 built with Go 1.26, as
// test/e2e/kube_lint_agreement.test.ts finds them.
import t from 'tap'
import { readCaBundle } from '../../src/core/kube/ca_bundle.ts'
import { parseGoUrl } from '../../src/core/kube/go_url.ts'
import { EXAMPLE_CA } from '../support/kube_lint_examples.ts'
import { flippedCertificates, pemVariants, URLS } from '../support/kube_mutation_values.ts'

const UNREADABLE = [
  'https://a.example.com:x',
  'https://a.example.com:1:2',
  'https://us er@a.example.com',
  'https://a.example.com#%zz',
  'https://a.example.com/%zz',
  'https://a%41.example.com',
  'https://a b.example.com',
  'https://[::1',
  'https://[1.2.3.4]',
  'https://[fe80::1%25]',
  'https://[1:2:3:4:5:6:7:8:9]',
  'https://[1::2::3]',
  'https://x[::1]',
  'https://a|b.example.com',
  'https://a{b.example.com',
  ':x',
  ' https://a.example.com',
  'https://a.example.com ',
  'https://a.example.com/\u0001',
  '1https://a.example.com',
  'h-t.t+p://a:b:c',
]

t.test('a URL is read or not as Go would', async (t) => {
  t.strictSame(
    URLS.filter((url) => !parseGoUrl(url).ok),
    UNREADABLE,
  )
})

t.test('the parts of a URL are told', async (t) => {
  t.strictSame(parseGoUrl('HTTPS://me@[::1]:8443/a?b#c'), {
    ok: true,
    url: { scheme: 'https', hasUser: true, query: 'b', fragment: 'c', host: '[::1]:8443' },
  })
  t.match(parseGoUrl('https://a.example.com?'), { ok: true, url: { query: '' } })
})

t.test('a text is a CA or not as Go would have it', async (t) => {
  const verdicts = pemVariants(EXAMPLE_CA).map((pem) => (readCaBundle(pem).ok ? 'y' : 'n'))
  t.equal(verdicts.join(''), 'nyynyyynnynnnnnynyyynnnnnnnnnnnnynn')
})

t.test('a bit of a certificate is turned over, and it is one or not as Go would have it', async (t) => {
  const verdicts = flippedCertificates(EXAMPLE_CA).map((pem) => (readCaBundle(pem).ok ? 'y' : 'n'))
  t.equal(verdicts.length, 159)
  t.equal(verdicts.filter((verdict) => verdict === 'y').length, 67)
})

t.test('what else lies in the file is told', async (t) => {
  const key = '-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n'
  t.match(readCaBundle(`${key}${EXAMPLE_CA}`), { ok: true, otherBlocks: ['EC PRIVATE KEY'] })
  t.match(readCaBundle(key), { ok: false, reason: 'no certificate stands in it' })
})
