// Writes accounts and messages as the replaced server's models (mongoose 8) write them, and prints their ids as JSON:
//
//   node write.mjs mongodb://127.0.0.1:27017/ DATABASE
//
// Field names, types and order are those of its schemas; `__v` comes from mongoose.
import bcrypt from 'bcryptjs';
import { MongoClient, ObjectId } from 'mongodb';

const [uri, name] = process.argv.slice(2);
const start = Date.parse('2025-03-01T09:00:00.000Z');
const at = (second) => new Date(start + second * 1000);
const hash = bcrypt.hashSync('old-password', 10);
if (!hash.startsWith('$2b$10$')) throw new Error(`not the hash that the old server writes: ${hash}`);

const account = (second, name, role, rest = { password: hash }) => ({
  _id: new ObjectId(),
  name,
  email: `${name.toLowerCase()}@old.test`,
  ...rest,
  googleId: rest.googleId ?? null,
  role,
  status: 'active',
  otp: null,
  createdAt: at(second),
  updatedAt: at(second),
  __v: 0,
});

const admin = account(0, 'Admin', 'admin');
const ann = account(1, 'Ann', 'user');
const bob = account(2, 'Bob', 'user', { googleId: '1122334455' });
const message = (second, from, to, text, read) => ({
  _id: new ObjectId(),
  sender: from._id,
  receiver: to._id,
  message: text,
  read,
  createdAt: at(second),
  updatedAt: at(second),
  __v: 0,
});
const messages = [
  message(10, ann, admin, 'Is anybody there?', true),
  message(20, admin, ann, 'Yes.', true),
  message(30, ann, admin, 'Ünïcödé 👋, and my order is late.', false),
  message(40, admin, ann, 'Let me look.', false),
  message(50, bob, admin, 'Me too!', false),
];

const client = await MongoClient.connect(uri);
try {
  const database = client.db(name);
  await database.collection('users').createIndex({ email: 1 }, { unique: true, background: true });
  await database.collection('messages').createIndex({ sender: 1, receiver: 1, createdAt: -1 }, { background: true });
  await database.collection('users').insertMany([admin, ann, bob]);
  // Not in chronological order, as after a restore from a dump.
  await database.collection('messages').insertMany([...messages].reverse());
} finally {
  await client.close();
}
console.log(JSON.stringify({ admin: admin._id, ann: ann._id, bob: bob._id, messages: messages.map((m) => m._id) }));
