package violations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/viva/rate-limiter/internal/models"
	"github.com/viva/rate-limiter/internal/services/violations"
)

const window = 10 * time.Minute

// Too many are a hundred.
var (
	tells    = violations.Threshold{Denials: 100, Window: window}
	suspends = violations.Threshold{Denials: 100, Window: window, SuspendFor: 30 * time.Minute}
)

func TestAbuseIsToldAtExactlyTheThreshold(t *testing.T) {
	for name, test := range map[string]struct {
		options violations.Options
		subject func(key models.APIKey) string
	}{
		"key":   {violations.Options{Key: tells}, func(k models.APIKey) string { return "key:" + string(k.ID) }},
		"owner": {violations.Options{Owner: tells}, func(k models.APIKey) string { return "owner:" + string(k.OwnerID) }},
		"ip":    {violations.Options{IP: tells}, func(models.APIKey) string { return "ip:203.0.113.9" }},
	} {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, test.options, func(t *testing.T, w *world) {
				key := w.key("ada")
				ip := from("203.0.113.9")
				w.refuse(key, -window, 1000, ip) // began with the window, not within it
				w.refuse(key, -window+time.Minute, 60, ip)
				w.refuse(key, 0, 39, ip)
				w.analyze(key)
				require.Empty(t, w.told())
				w.refuse(key, 0, 1, ip)
				w.analyze(key)
				told := w.told()
				require.Len(t, told, 1)
				event := told[0].Event
				require.Equal(t, models.EventAbuseDetected, event.Type)
				require.Equal(t, test.subject(key), event.Data["subject"])
				require.Equal(t, "100", event.Data["denials"])
				require.Equal(t, "10m0s", event.Data["window"])
				require.Equal(t, models.KeyActive, w.status(key))
				require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM jobs WHERE kind = 'notify:plan'"))
			})
		})
	}
}

func TestAnEpisodeOfAbuseIsToldOnceHoweverLongItLasts(t *testing.T) {
	eachEngine(t, violations.Options{Key: tells}, func(t *testing.T, w *world) {
		key := w.key("ada")
		for minute := range 60 { // it goes on for an hour, and dips below the threshold for a while
			w.at(time.Duration(minute) * time.Minute)
			n := int64(50)
			if minute >= 20 && minute < 25 {
				n = 1
			}
			w.refuse(key, time.Duration(minute)*time.Minute, n)
			_, err := w.Analyze(t.Context(), string(key.ID))
			require.NoError(t, err)
		}
		require.Len(t, w.told(), 1)
		w.at(2 * time.Hour) // it was quiet for longer than the window
		w.refuse(key, 2*time.Hour, 99)
		w.analyze(key)
		require.Len(t, w.told(), 1)
		w.refuse(key, 2*time.Hour, 1)
		w.analyze(key)
		require.Len(t, w.told(), 2)
	})
}

func TestAbuseSuspendsOnceAndNotForWhatIsPaidFor(t *testing.T) {
	eachEngine(t, violations.Options{Key: suspends}, func(t *testing.T, w *world) {
		key := w.key("ada")
		suspensions := func() int64 { return w.number("SELECT COUNT(*) FROM audit_logs WHERE action = 'key.suspend'") }
		w.refuse(key, 0, 100)
		w.analyze(key)
		require.Equal(t, models.KeySuspended, w.status(key))
		view, err := w.keys.Find(t.Context(), key.ID)
		require.NoError(t, err)
		require.True(t, view.Key.SuspendedUntil.Equal(noon.Add(30*time.Minute)))
		require.True(t, strings.HasPrefix(view.Key.SuspendReason, "abuse: 100 refusals"), view.Key.SuspendReason)
		require.EqualValues(t, 1, suspensions())
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM audit_logs WHERE action = 'key.suspend' AND actor_kind = 'system'"))
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM invalidations WHERE subject = 'key:"+string(key.ID)+"' AND version = 2"))
		require.Len(t, w.told(), 1)
		require.Equal(t, models.EventKeySuspended, w.told()[0].Event.Type)
		require.Equal(t, models.SeverityCritical, w.told()[0].Event.Severity)
		require.Equal(t, "ada", w.told()[0].Event.Owner)

		// What was on its way, or comes again, prolongs nothing.
		w.at(5 * time.Minute)
		w.refuse(key, 5*time.Minute, 500)
		w.analyze(key)
		view, err = w.keys.Find(t.Context(), key.ID)
		require.NoError(t, err)
		require.True(t, view.Key.SuspendedUntil.Equal(noon.Add(30*time.Minute)))
		require.EqualValues(t, 1, suspensions())

		// An operator who activates it is not overruled.
		_, err = w.keys.Activate(t.Context(), key.ID)
		require.NoError(t, err)
		w.refuse(key, 6*time.Minute, 500)
		w.analyze(key)
		require.Equal(t, models.KeyActive, w.status(key))

		// After its end, what came before is paid for, and new refusals count.
		w.refuse(key, 29*time.Minute, 5000)
		w.at(31 * time.Minute)
		w.refuse(key, 31*time.Minute, 99)
		w.analyze(key)
		require.Equal(t, models.KeyActive, w.status(key))
		w.refuse(key, 31*time.Minute, 1)
		w.analyze(key)
		require.Equal(t, models.KeySuspended, w.status(key))
		require.EqualValues(t, 2, suspensions())
		require.Len(t, w.told(), 2)
	})
}

func TestAKeyThatIsRefusedAnywayIsNotSuspended(t *testing.T) {
	eachEngine(t, violations.Options{Key: suspends}, func(t *testing.T, w *world) {
		suspended, revoked := w.key("ada"), w.key("ada")
		_, err := w.keys.Suspend(t.Context(), suspended.ID, nil, "by hand")
		require.NoError(t, err)
		_, err = w.keys.Revoke(t.Context(), revoked.ID)
		require.NoError(t, err)
		for _, key := range []models.APIKey{suspended, revoked} {
			w.refuse(key, 0, 1000)
			w.analyze(key)
		}
		view, err := w.keys.Find(t.Context(), suspended.ID)
		require.NoError(t, err)
		require.Nil(t, view.Key.SuspendedUntil)
		require.Equal(t, "by hand", view.Key.SuspendReason)
		require.Empty(t, w.told())
		require.NoError(t, w.keys.Erase(t.Context(), suspended.ID))
		w.analyze(suspended) // and of what is gone there is nothing to do
	})
}

func TestAbuseByAnOwnerSuspendsAllItsKeysThatAreActive(t *testing.T) {
	eachEngine(t, violations.Options{Owner: suspends}, func(t *testing.T, w *world) {
		var list []models.APIKey
		for range 120 { // more than one transaction suspends
			list = append(list, w.key("ada"))
		}
		other := w.key("bob")
		_, err := w.keys.Revoke(t.Context(), list[7].ID)
		require.NoError(t, err)
		w.refuse(list[0], 0, 60)
		w.refuse(list[1], 0, 40)
		w.refuse(other, 0, 99)
		w.analyze(list[1])
		w.analyze(list[0])
		w.analyze(other)
		require.EqualValues(t, 119, w.number("SELECT COUNT(*) FROM audit_logs WHERE action = 'key.suspend'"))
		require.EqualValues(t, 119, w.number("SELECT COUNT(*) FROM api_keys WHERE suspended_at IS NOT NULL"))
		require.Len(t, w.told(), 119)
		require.Equal(t, models.KeyActive, w.status(other))
	})
}

func TestAbuseFromAnAddressSuspendsTheKeysItUsed(t *testing.T) {
	eachEngine(t, violations.Options{IP: suspends}, func(t *testing.T, w *world) {
		ada, bob, eve := w.key("ada"), w.key("bob"), w.key("eve")
		w.refuse(ada, 0, 60, from("203.0.113.9", "203.0.113.10"))
		w.refuse(bob, 0, 40, from("203.0.113.9"))
		w.refuse(eve, 0, 99, from("203.0.113.11"))
		w.analyze(bob)
		w.analyze(eve)
		w.analyze(ada)
		for key, want := range map[models.KeyID]models.KeyStatus{
			ada.ID: models.KeySuspended, bob.ID: models.KeySuspended, eve.ID: models.KeyActive,
		} {
			require.Equal(t, want, w.status(models.APIKey{ID: key}))
		}
		told := w.told()
		require.Len(t, told, 2)
		for _, n := range told {
			require.Empty(t, n.Event.OwnerID, "an owner is not told of another's calls")
			require.Equal(t, "ip:203.0.113.9", n.Event.Data["subject"])
		}
		require.EqualValues(t, 1, w.number("SELECT COUNT(*) FROM abuse_episodes"))
	})
}

func TestWhatIsToldOfIsSuspendedOnceThatIsWanted(t *testing.T) {
	eachEngine(t, violations.Options{Key: tells}, func(t *testing.T, w *world) {
		key := w.key("ada")
		w.refuse(key, 0, 100)
		w.analyze(key)
		require.Len(t, w.told(), 1)
		w.Service = w.with(violations.Options{Key: suspends})
		w.analyze(key)
		require.Equal(t, models.KeySuspended, w.status(key))
		require.Len(t, w.told(), 2)
	})
}

func TestASuspensionThatWasInterruptedGoesOn(t *testing.T) {
	eachEngine(t, violations.Options{Owner: suspends}, func(t *testing.T, w *world) {
		for range 60 {
			w.key("ada")
		}
		key := w.key("ada")
		w.refuse(key, 0, 100)
		w.changes.FailOn = "key.suspend"
		_, err := w.Analyze(t.Context(), string(key.ID))
		require.Error(t, err)
		require.Empty(t, w.told(), "nothing is told of what did not happen")
		w.changes.FailOn = ""
		w.at(time.Minute)
		w.analyze(key)
		require.EqualValues(t, 61, w.number("SELECT COUNT(*) FROM api_keys WHERE suspended_at IS NOT NULL"))
		require.EqualValues(t, 61, w.number("SELECT COUNT(*) FROM notices"))
	})
}
