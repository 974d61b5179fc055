package admin_test

import (
	"testing"

	"revoker/events/admin"
	"revoker/internal/testsite"
)

// No estimate is better than a wrong one: none while nothing can be settled, and none that goes by the time before or during that.
func TestOutlooks(t *testing.T) {
	t.Parallel()
	for _, course := range testsite.Outlooks() {
		var h admin.History
		for _, status := range course.Statuses {
			h.Add(status)
		}
		if r := h.Rates(); r.Outlook != course.Want || (r.ETA != nil) != (course.Want == admin.Shrinking) {
			t.Errorf("%s: %q with an ETA of %v, want %q", course.Name, r.Outlook, r.ETA, course.Want)
		}
	}
}
