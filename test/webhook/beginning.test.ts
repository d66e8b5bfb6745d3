// What is read of a review before it is parsed.
import t from 'tap'
import { uidAtBeginning, userAtBeginning } from '../../webhook/review/beginning.ts'
import { changedReview, recordedReview } from '../support/admission_reviews.ts'

const append = recordedReview('update-jsonpatch-append')

function bytes(value: unknown): Uint8Array {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))
}

function userOf(username: string): string {
  const review = changedReview('update-jsonpatch-append', ({ request }) => {
    request['userInfo'] = { ...Object(request['userInfo']), username }
  })
  return userAtBeginning(bytes(review))
}

t.test('of what kube-apiserver sends the uid and the user are known', async (t) => {
  t.equal(uidAtBeginning(bytes(append)), append.request['uid'])
  t.equal(userAtBeginning(bytes(append)), Object(append.request['userInfo']).username)
})

t.test('one user is told from another, whatever the name is', async (t) => {
  t.equal(userOf('zoë'), 'zoë')
  t.equal(userOf('a"b'), 'a\\"b', 'as it is written')
  t.equal(userOf('x'.repeat(10_000)), 'x'.repeat(256))
  t.equal(userOf(''), '')
})

t.test('no name of an object is taken for the user', async (t) => {
  const name = '"userInfo":{"username":"bob"'
  const review = changedReview('update-jsonpatch-append', ({ request }) => {
    request['name'] = name
  })
  t.equal(userAtBeginning(bytes(review)), Object(append.request['userInfo']).username)
})

t.test('what stands elsewhere is nobody', async (t) => {
  t.equal(
    userAtBeginning(bytes(`{"request":{"object":"${'x'.repeat(5000)}","userInfo":{"username":"bob"}}}`)),
    '',
  )
  t.equal(userAtBeginning(bytes('{"request":{"userInfo":{"groups":[],"username":"bob"}}}')), '')
  t.equal(userAtBeginning(new Uint8Array()), '')
})
